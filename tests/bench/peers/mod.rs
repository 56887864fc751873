//! What the product is measured beside. Knows how to set each of them up; must not know the product.

pub mod docker;
pub mod etcd;
pub mod handmade;
mod http;
pub mod image;
