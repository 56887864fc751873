//! The identity room from outside: what its public API promises, on loopback and in temporary folders.

mod address;
mod ca;
mod connections;
mod disk;
mod floods;
mod frames;
mod handshake;
mod hostile;
mod reload;
mod rotation;
mod strangers;
mod token;
mod world;
