//! Data for tests and benches: real memories where the checkout has them beside it, a generated
//! set of the same shape elsewhere. Says which.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::thread::ScopedJoinHandle;

use half::f16;

/// Vectors, row after row, with queries that are not among them.
pub struct Data {
    pub name: &'static str,
    pub dimensions: usize,
    pub rows: Vec<f32>,
    pub queries: Vec<f32>,
}

impl Data {
    /// The first `limit` real memories, or as many generated ones.
    pub fn load(limit: usize) -> Data {
        let data = Data::real(limit).unwrap_or_else(|| Data::generated(limit));
        eprintln!(
            "data: {}, {} rows of {}",
            data.name,
            data.len(),
            data.dimensions
        );
        data
    }

    pub fn len(&self) -> usize {
        self.rows.len() / self.dimensions
    }

    pub fn row(&self, at: usize) -> &[f32] {
        &self.rows[at * self.dimensions..][..self.dimensions]
    }

    pub fn query(&self, at: usize) -> &[f32] {
        &self.queries[at * self.dimensions..][..self.dimensions]
    }

    pub fn query_count(&self) -> usize {
        self.queries.len() / self.dimensions
    }

    fn real(limit: usize) -> Option<Data> {
        let folder = match std::env::var_os("CHRONOMIND_DATA") {
            Some(folder) => PathBuf::from(folder),
            None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/git-memories"),
        };
        let (dimensions, rows) = npy(&folder.join("embeddings.f16.npy"), limit)?;
        let (_, queries) = npy(&folder.join("queries.f16.npy"), usize::MAX)?;
        Some(Data {
            name: "git-memories",
            dimensions,
            rows,
            queries,
        })
    }

    /// Points around centres that are themselves clustered, as texts are.
    pub fn generated(limit: usize) -> Data {
        let dimensions = 96;
        let mut random = Random(7);
        let mut point = |centre: Option<&[f32]>, spread: f32| -> Vec<f32> {
            (0..dimensions)
                .map(|at| centre.map_or(0.0, |centre| centre[at]) + spread * random.normal())
                .collect()
        };
        let topics: Vec<_> = (0..40).map(|_| point(None, 1.0)).collect();
        let centres: Vec<_> = (0..1_000)
            .map(|at| point(Some(&topics[at % 40]), 0.6))
            .collect();
        let mut around = |count: usize| -> Vec<f32> {
            (0..count)
                .flat_map(|at| point(Some(&centres[at * 7 % 1_000]), 0.45))
                .collect()
        };
        let rows = around(limit);
        let queries = around(200);
        Data {
            name: "generated",
            dimensions,
            rows,
            queries,
        }
    }
}

/// The bytes of a vector as an index stores them.
pub fn bytes(vector: &[f32]) -> Vec<u8> {
    vector
        .iter()
        .flat_map(|value| value.to_ne_bytes())
        .collect()
}

/// A small generator with a fixed seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 11) as usize % limit
    }

    pub fn uniform(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 24) as f32
    }

    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (self.uniform() + 1e-9).ln()).sqrt();
        radius * (std::f32::consts::TAU * self.uniform()).cos()
    }
}

/// Waits for readers as long as it takes.
pub fn patient() -> bool {
    std::thread::yield_now();
    true
}

/// Waits for the threads of a scope. The scope itself would, but ThreadSanitizer does not see that.
pub fn join<T>(threads: Vec<ScopedJoinHandle<'_, T>>) {
    for thread in threads {
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Waits for a lock by trying: what the standard library does to wait is compiled without
/// ThreadSanitizer, which would then not see that whoever gets the lock comes after the one before.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    loop {
        match mutex.try_lock() {
            Ok(guard) => return guard,
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            Err(TryLockError::Poisoned(error)) => panic!("{error}"),
        }
    }
}

/// A two-dimensional little-endian float16 array, as f32.
fn npy(path: &Path, limit: usize) -> Option<(usize, Vec<f32>)> {
    let file = fs::read(path).ok()?;
    let header_len = u16::from_le_bytes([file[8], file[9]]) as usize;
    let header = std::str::from_utf8(&file[10..10 + header_len]).ok()?;
    assert!(header.contains("'<f2'"), "{header}");
    let shape = header.split("'shape': (").nth(1)?.split(')').next()?;
    let dimensions: usize = shape.split(',').nth(1)?.trim().parse().ok()?;
    let values = file[10 + header_len..]
        .chunks_exact(2)
        .take(limit.saturating_mul(dimensions))
        .map(|two| f16::from_le_bytes([two[0], two[1]]).to_f32());
    Some((dimensions, values.collect()))
}
