//! Safe wrappers of what the server offers.
#![allow(unsafe_code)]

pub mod asked;
pub mod attribute;
pub mod buffer;
pub mod call;
pub mod catalog;
pub mod clock;
pub mod cursor;
pub mod datum;
pub mod fault;
pub mod index_info;
pub mod init_plans;
pub mod interrupt;
pub mod make;
pub mod names;
pub mod node;
pub mod notice;
pub mod owner;
pub mod planned;
pub mod policies;
pub mod progress;
pub mod relation;
pub mod replay;
pub mod row;
mod same_vector;
pub mod settings;
mod shape;
pub mod shards;
pub mod startup;
pub mod statement;
pub mod table;
pub mod text;
pub mod threads;
pub mod wait;
pub mod xlog;
