-- Settings have their defaults and ranges, and only those that exist can be set.
SHOW chronomind.ef_search;
SHOW chronomind.recency_weight;
SHOW chronomind.importance_weight;
SHOW chronomind.base_decay_rate;
SHOW chronomind.shared_memory_size;
SET chronomind.ef_search = 0;
SET chronomind.ef_search = 10001;
SET chronomind.recency_weight = 1.5;
SET chronomind.base_decay_rate = -1;
SET chronomind.shared_memory_size = '1GB';
SET chronomind.recency_wait = 0.5;
