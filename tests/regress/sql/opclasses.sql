-- Every operator class is sound, and an unsound one is found out.
CREATE EXTENSION chronomind CASCADE;
SET client_min_messages = info;

SELECT opcname, opcintype::regtype, opcdefault, amvalidate(c.oid)
FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod WHERE amname = 'chrono' ORDER BY 1;

-- CREATE OPERATOR CLASS believes that text_ops sorts what the distance operator returns.
CREATE OPERATOR CLASS wrong_order FOR TYPE vector USING chrono AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY text_ops,
    FUNCTION 1 chronomind_internal.chrono_metric_cosine();
SELECT amvalidate(oid) FROM pg_opclass WHERE opcname = 'wrong_order';

CREATE OPERATOR CLASS wrong_strategy FOR TYPE numeric USING chrono AS OPERATOR 4 =;
SELECT amvalidate(oid) FROM pg_opclass WHERE opcname = 'wrong_strategy';

-- The operator that orders by a score has no value outside an index scan.
SELECT '[1]'::vector <~> NULL::chronomind_internal.chrono_query;
SELECT 'anything'::chronomind_internal.chrono_query;
