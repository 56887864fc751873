//! Compiles `proto/swarm/v1/*.proto` with protox, so that nobody has to install protoc.
/// Messages with a secret in them; how they are printed stands in src/secret.rs.
const SECRET: [&str; 14] = [
    "IssueRequest",
    "JoinTokenResponse",
    "CreateJoinTokenResponse",
    "BackupRequest",
    "InitResponse",
    "JoinRequest",
    "RestoreBegin",
    "RestoreResponse",
    "UnlockKeyResponse",
    "UnlockRequest",
    "RotateRootRequest",
    "SetLockRequest",
    "GossipKey",
    "PairSecret",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["objects", "access", "control", "ca", "dispatcher", "raft", "local"]
        .map(|name| format!("proto/swarm/v1/{name}.proto"));
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(&files, ["proto"])?;
    std::fs::write(
        std::path::Path::new(&std::env::var("OUT_DIR")?).join("descriptors.bin"),
        prost_encode(&descriptors),
    )?;
    // Ordered maps: the same message has the same bytes everywhere, and converts into the model's maps by a move.
    let secret = SECRET.map(|message| format!(".swarm.v1.{message}"));
    tonic_prost_build::configure().btree_map(".").skip_debug(secret).compile_fds(descriptors)?;
    Ok(())
}

fn prost_encode(descriptors: &impl prost::Message) -> Vec<u8> {
    descriptors.encode_to_vec()
}
