//! What is served, read from the compiled descriptors: for tests that walk every method.

use prost::Message;

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
/// Served by the daemon, to whoever may open its socket.
const LOCAL: &str = "Local";

/// The few fields of `google.protobuf.FileDescriptorSet` that name methods.
#[derive(Clone, PartialEq, Message)]
struct Files {
    #[prost(message, repeated, tag = "1")]
    file: Vec<File>,
}
#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(message, repeated, tag = "6")]
    service: Vec<Service>,
}
#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    method: Vec<Named>,
}
#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

/// `Service/Method`, all that TCP 2377 serves; none if the descriptors cannot be read.
pub fn methods_on_2377() -> Vec<String> {
    let files = Files::decode(DESCRIPTORS).unwrap_or_default();
    let services = files.file.into_iter().flat_map(|file| file.service);
    let named = |service: Service| {
        let Service { name, method } = service;
        method.into_iter().map(move |method| format!("{name}/{}", method.name))
    };
    services.filter(|service| service.name != LOCAL).flat_map(named).collect()
}
