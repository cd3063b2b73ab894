//! The messages in Rust are those of `proto/drpc/drpc.proto`, field by field and name by name.
#![cfg(all(feature = "drpc", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bytes::Bytes;
use oneport_services::drpc::{Call, Response, Status};
use prost::Message;
use protox::prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Value};

fn pool() -> DescriptorPool {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/drpc");
    let files = protox::compile(["drpc.proto"], [directory]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap()
}

/// A message of this name with these fields, as whoever generates code from the file writes it.
fn written(name: &str, fields: &[(&str, Value)]) -> Bytes {
    let descriptor = pool().get_message_by_name(name).unwrap();
    let mut names: Vec<_> = descriptor
        .fields()
        .map(|field| field.name().to_owned())
        .collect();
    names.sort_unstable();
    let mut ours: Vec<_> = fields.iter().map(|(name, _)| (*name).to_owned()).collect();
    ours.sort_unstable();
    assert_eq!(ours, names, "{name}");
    let mut message = DynamicMessage::new(descriptor);
    for (name, value) in fields {
        message.set_field_by_name(name, value.clone());
    }
    message.encode_to_vec().into()
}

#[test]
fn the_call_is_the_files() {
    let (module, method, sequence) = (i32::MIN, i32::MAX, i64::MIN);
    let body = Bytes::from_static(b"body");
    let call = Call {
        module,
        method,
        sequence,
        body: body.clone(),
    };
    let written = written(
        "drpc.Call",
        &[
            ("module", Value::I32(module)),
            ("method", Value::I32(method)),
            ("sequence", Value::I64(sequence)),
            ("body", Value::Bytes(body)),
        ],
    );
    assert_eq!(call.encode_to_vec(), written);
    assert_eq!(Call::decode(written).unwrap(), call);
}

#[test]
fn the_response_is_the_files() {
    let body = Bytes::from_static(b"body");
    let response = Response {
        sequence: i64::MIN,
        status: i32::MIN,
        body: body.clone(),
    };
    let written = written(
        "drpc.Response",
        &[
            ("sequence", Value::I64(i64::MIN)),
            ("status", Value::EnumNumber(i32::MIN)),
            ("body", Value::Bytes(body)),
        ],
    );
    assert_eq!(response.encode_to_vec(), written);
    assert_eq!(Response::decode(written).unwrap(), response);
}

#[test]
fn the_statuses_are_the_files() {
    let statuses = pool().get_enum_by_name("drpc.Status").unwrap();
    let file: Vec<_> = statuses
        .values()
        .map(|value| (value.number(), value.name().to_owned()))
        .collect();
    let ours: Vec<_> = (0..)
        .map_while(|number| Some((number, Status(number).name()?.to_owned())))
        .collect();
    assert_eq!(ours, file);
    let field = pool().get_message_by_name("drpc.Response").unwrap();
    let field: FieldDescriptor = field.get_field_by_name("status").unwrap();
    assert_eq!(
        field.kind().as_enum().unwrap().full_name(),
        statuses.full_name()
    );
}
