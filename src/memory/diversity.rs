//! Maximal marginal relevance: rows that matter and do not say the same.
//!
//! The best rows of a search are often near-duplicates of each other, and an agent's context is small.
//! Carbonell and Goldstein (*The Use of MMR, Diversity-Based Reranking for Reordering Documents and
//! Producing Summaries*, SIGIR 1998) choose greedily: the next row is the one with the greatest
//!
//! ```text
//! (1 - diversity) * relevance - diversity * greatest similarity to a row already chosen
//! ```
//!
//! Here relevance is `1 - score`, so that recency and importance count, and similarity is
//! `1 - distance / 2`, which is what the score makes of a distance: both are in [0, 1] for cosine.
//!
//! The candidates are the best rows by score, [`pool`] of them. Where fewer would do, fewer are read: a
//! row that was not seen has at most the relevance of the last that was, and cannot be chosen before
//! one that would be chosen even if nothing resembled the unseen row.

use chronomind_core::distance::{self, Element, Kernel, Metric};

use crate::error::Result;

/// Candidates for each row that is asked for.
const CANDIDATES_PER_ROW: usize = 20;
/// Candidates for however few rows.
const FEWEST_CANDIDATES: usize = 100;
/// The most rows that can be asked for: every row chosen is compared with all candidates.
pub const MOST_ROWS: i32 = 1000;

/// How many of the best rows by score are candidates for `k` rows.
pub fn pool(k: usize) -> usize {
    (CANDIDATES_PER_ROW * k).max(FEWEST_CANDIDATES)
}

/// Measures how alike stored rows are.
pub struct Likeness {
    metric: Metric,
    element: Element,
    kernel: Kernel,
}

/// A vector, as it is stored and as others are compared with it.
struct Vector {
    stored: Vec<u8>,
    query: Vec<f32>,
    scale: f32,
}

impl Likeness {
    /// For the vectors of an index.
    pub fn new(metric: Metric, element: Element) -> Likeness {
        Likeness {
            metric,
            element,
            kernel: Kernel::new(metric, element),
        }
    }

    /// `None` where the vector has no distance to any other.
    fn vector(&self, stored: Vec<u8>) -> Option<Vector> {
        let scale = distance::scale(self.metric, self.element, &stored)?;
        let mut query = vec![0.0; stored.len() / self.element.size()];
        distance::decode(self.element, &stored, &mut query);
        if self.metric == Metric::Cosine && !distance::normalise(&mut query) {
            return None;
        }
        Some(Vector {
            stored,
            query,
            scale,
        })
    }

    fn similarity(&self, a: &Vector, b: &Vector) -> f64 {
        let raw = self.kernel.one(&a.query, &b.stored);
        1.0 - self.metric.distance(self.metric.key(raw, b.scale)) / 2.0
    }

    /// The least that a similarity can be.
    fn least(&self) -> f64 {
        1.0 - self.metric.range().1 / 2.0
    }
}

/// A row as the search gives it.
pub struct Offer<R> {
    /// Whatever the caller knows it by.
    pub row: R,
    /// Lower is better; `None` or NaN comes last.
    pub score: Option<f64>,
    /// Its vector as it is stored; `None` for NULL.
    pub vector: Option<Vec<u8>>,
}

/// A row that may be chosen.
struct Candidate<R> {
    row: R,
    relevance: f64,
    vector: Vector,
    /// The greatest similarity to a row already chosen.
    likeness: f64,
}

/// Chooses among the rows that a search gives.
pub struct Selection<R> {
    diversity: f64,
    measure: Likeness,
    candidates: Vec<Candidate<R>>,
    /// Candidates that may still be read.
    room: usize,
    /// No unseen row has more.
    last_relevance: f64,
    chosen: Vec<Vector>,
    /// The first row that cannot be compared: all that follow it cannot either.
    incomparable: Option<R>,
}

impl<R> Selection<R> {
    /// For `k` rows; `diversity` is between 0, relevance alone, and 1, difference alone.
    pub fn new(diversity: f64, measure: Likeness, k: usize) -> Self {
        Selection {
            diversity,
            measure,
            candidates: Vec::new(),
            room: pool(k),
            last_relevance: f64::INFINITY,
            chosen: Vec::new(),
            incomparable: None,
        }
    }

    /// The next row, of those that `search` gives best score first; rows without a score follow all
    /// others, as they come.
    pub fn next(
        &mut self,
        mut search: impl FnMut() -> Result<Option<Offer<R>>>,
    ) -> Result<Option<R>> {
        loop {
            match self.best() {
                Some((at, value)) if self.room == 0 || value >= self.bound() => {
                    return Ok(Some(self.choose(at)));
                }
                None if self.room == 0 => {
                    return match self.incomparable.take() {
                        Some(row) => Ok(Some(row)),
                        None => Ok(search()?.map(|offer| offer.row)),
                    };
                }
                _ => match search()? {
                    Some(offer) => self.admit(offer),
                    None => self.room = 0,
                },
            }
        }
    }

    /// The candidate to choose, and its value; of equals the one with the better score.
    fn best(&self) -> Option<(usize, f64)> {
        let values = self
            .candidates
            .iter()
            .map(|candidate| self.value(candidate.relevance, candidate.likeness));
        values
            .enumerate()
            .reduce(|best, next| if next.1 > best.1 { next } else { best })
    }

    fn value(&self, relevance: f64, likeness: f64) -> f64 {
        // Likeness can be infinite, and infinity times nothing is not a number.
        let penalty = if self.chosen.is_empty() || self.diversity == 0.0 {
            0.0
        } else {
            self.diversity * likeness
        };
        (1.0 - self.diversity) * relevance - penalty
    }

    /// What no unseen row's value exceeds.
    fn bound(&self) -> f64 {
        self.value(self.last_relevance, self.measure.least())
    }

    fn admit(&mut self, offer: Offer<R>) {
        let score = offer.score.filter(|score| !score.is_nan());
        let vector = offer.vector.and_then(|stored| self.measure.vector(stored));
        let (Some(score), Some(vector)) = (score, vector) else {
            self.incomparable = Some(offer.row);
            self.room = 0;
            return;
        };
        let likenesses = self
            .chosen
            .iter()
            .map(|one| self.measure.similarity(one, &vector));
        self.last_relevance = self.last_relevance.min(1.0 - score);
        self.room -= 1;
        self.candidates.push(Candidate {
            row: offer.row,
            relevance: 1.0 - score,
            likeness: likenesses.fold(f64::NEG_INFINITY, f64::max),
            vector,
        });
    }

    fn choose(&mut self, at: usize) -> R {
        let Candidate { row, vector, .. } = self.candidates.remove(at);
        for other in &mut self.candidates {
            let likeness = self.measure.similarity(&vector, &other.vector);
            other.likeness = other.likeness.max(likeness);
        }
        self.chosen.push(vector);
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIMENSIONS: usize = 4;

    /// Rows of some topics, by score.
    fn rows(count: usize, seed: u64) -> Vec<(f64, Vec<f32>)> {
        let mut state = seed;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f64 / (1 << 24) as f64
        };
        let topics: Vec<Vec<f64>> = (0..5)
            .map(|_| (0..DIMENSIONS).map(|_| random() - 0.5).collect())
            .collect();
        let mut rows: Vec<_> = (0..count)
            .map(|row| {
                let topic = &topics[row % topics.len()];
                let vector = topic.iter().map(|x| (x + 0.1 * random()) as f32).collect();
                (0.5 * random(), vector)
            })
            .collect();
        rows.sort_by(|a: &(f64, Vec<f32>), b| a.0.total_cmp(&b.0));
        rows
    }

    /// The definition, over all rows at once, in double precision.
    fn definition(
        metric: Metric,
        rows: &[(f64, Vec<f32>)],
        diversity: f64,
        k: usize,
    ) -> Vec<usize> {
        let similarity = |a: &[f32], b: &[f32]| {
            let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
                a.iter().zip(b).map(|(&x, &y)| f(x.into(), y.into())).sum()
            };
            let distance = match metric {
                Metric::Cosine => {
                    let norms = sum(&|x, _| x * x) * sum(&|_, y| y * y);
                    1.0 - sum(&|x, y| x * y) / norms.sqrt()
                }
                Metric::L2 => sum(&|x, y| (x - y) * (x - y)).sqrt(),
                Metric::InnerProduct => -sum(&|x, y| x * y),
                Metric::L1 => sum(&|x, y| (x - y).abs()),
            };
            1.0 - distance / 2.0
        };
        let mut chosen: Vec<usize> = Vec::new();
        while chosen.len() < k.min(rows.len()) {
            let value = |row: usize| {
                let likeness = chosen
                    .iter()
                    .map(|&one| similarity(&rows[one].1, &rows[row].1));
                let likeness = likeness.reduce(f64::max).unwrap_or(0.0);
                (1.0 - diversity) * (1.0 - rows[row].0) - diversity * likeness
            };
            let left = (0..rows.len()).filter(|row| !chosen.contains(row));
            chosen.extend(left.max_by(|&a, &b| value(a).total_cmp(&value(b)).then(b.cmp(&a))));
        }
        chosen
    }

    fn select(
        metric: Metric,
        rows: &[(f64, Vec<f32>)],
        diversity: f64,
        k: usize,
    ) -> (Vec<usize>, usize) {
        let mut read = 0;
        let mut search = || {
            let Some((score, vector)) = rows.get(read) else {
                return Ok(None);
            };
            read += 1;
            Ok(Some(Offer {
                row: read - 1,
                score: Some(*score),
                vector: Some(vector.iter().flat_map(|x| x.to_ne_bytes()).collect()),
            }))
        };
        let mut selection = Selection::new(diversity, Likeness::new(metric, Element::F32), k);
        let chosen = (0..k)
            .map_while(|_| selection.next(&mut search).unwrap_or(None))
            .collect();
        (chosen, read)
    }

    #[test]
    fn it_is_the_definition_over_the_candidates() {
        for metric in Metric::ALL {
            for (count, k, diversity) in [
                (80, 10, 0.3),
                (400, 10, 0.5),
                (400, 4, 0.9),
                (90, 90, 0.7),
                (300, 20, 1.0),
            ] {
                for seed in 0..10 {
                    let rows = rows(count, seed);
                    let candidates = &rows[..pool(k).min(count)];
                    let (chosen, _) = select(metric, &rows, diversity, k);
                    assert_eq!(
                        chosen,
                        definition(metric, candidates, diversity, k),
                        "{metric:?} {seed}"
                    );
                }
            }
        }
    }

    #[test]
    fn without_diversity_it_is_the_search() {
        for metric in Metric::ALL {
            let rows = rows(50, 1);
            let (chosen, read) = select(metric, &rows, 0.0, 10);
            assert_eq!(chosen, (0..10).collect::<Vec<_>>());
            assert_eq!(read, 10);
        }
    }

    #[test]
    fn no_more_is_read_than_could_matter() {
        let mut rows = rows(300, 2);
        for (row, (score, _)) in rows.iter_mut().enumerate() {
            *score = row as f64 / 300.0;
        }
        let (chosen, read) = select(Metric::Cosine, &rows, 0.1, 10);
        assert_eq!(chosen, definition(Metric::Cosine, &rows, 0.1, 10));
        assert!(read < pool(10), "{read}");
    }

    #[test]
    fn a_duplicate_has_to_wait() {
        let rows = [
            (0.10, vec![1.0, 0.0, 0.0, 0.0]),
            (0.11, vec![1.0, 0.0, 0.0, 0.0]),
            (0.20, vec![0.0, 1.0, 0.0, 0.0]),
        ];
        assert_eq!(select(Metric::Cosine, &rows, 0.3, 3).0, [0, 2, 1]);
    }

    #[test]
    fn rows_without_a_score_come_last_in_their_order() {
        let offers = [
            (Some(0.1), Some([1.0_f32, 0.0])),
            (Some(0.2), Some([0.0, 1.0])),
            (Some(f64::NAN), Some([0.0, 0.0])),
            (None, None),
            (None, None),
        ];
        let mut search = offers
            .iter()
            .enumerate()
            .map(|(row, (score, vector))| Offer {
                row,
                score: *score,
                vector: vector.map(|v| v.iter().flat_map(|x| x.to_ne_bytes()).collect()),
            });
        let measure = Likeness::new(Metric::Cosine, Element::F32);
        let mut selection = Selection::new(0.5, measure, 10);
        let chosen: Vec<usize> = (0..10)
            .map_while(|_| selection.next(|| Ok(search.next())).unwrap_or(None))
            .collect();
        assert_eq!(chosen, [0, 1, 2, 3, 4]);
    }
}
