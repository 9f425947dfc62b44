//! What is this engine's own: its file, its layout, what it does when a disk fails. Another engine has others.

mod damage;
mod failure;
mod golden;
mod hang;
mod ids;
mod joined;
mod log;
mod maintain;
mod open;
mod small;
mod suspect;
mod tails;
mod throughput;
mod transfer;
