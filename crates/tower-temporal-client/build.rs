//! Generates a marker type for every unary method of Temporal's gRPC services, from the descriptors the SDK was built
//! with.
//!
//! What is generated are invocations of the macro in `src/rpc/method.rs`, which says what a marker type is.

use prost::Message;
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorSet, MethodDescriptorProto,
    ServiceDescriptorProto,
    field_descriptor_proto::{Label, Type},
};
use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    env,
    error::Error,
    fmt::Write,
    fs,
    path::Path,
};

/// The packages of the services, and the modules they become.
const SERVICES: [(&str, &str); 5] = [
    ("temporal.api.workflowservice.v1", "workflow_service"),
    ("temporal.api.operatorservice.v1", "operator_service"),
    ("temporal.api.cloud.cloudservice.v1", "cloud_service"),
    ("temporal.api.testservice.v1", "test_service"),
    ("grpc.health.v1", "health"),
];

const HEADER: &str = ".temporal.api.common.v1.Header";
const WAIT_POLICY: &str = ".temporal.api.update.v1.WaitPolicy";

/// How many messages deep a header is looked for: a schedule's action is three.
const DEPTH: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=DEP_TEMPORALIO_PROTOS_DESCRIPTOR_PATH");
    let descriptors = env::var("DEP_TEMPORALIO_PROTOS_DESCRIPTOR_PATH").map_err(|error| {
        format!("temporalio-protos does not say where its descriptors are: {error}")
    })?;
    println!("cargo:rerun-if-changed={descriptors}");
    let set = FileDescriptorSet::decode(fs::read(descriptors)?.as_slice())?;
    let out = Path::new(&env::var("OUT_DIR")?).join("methods.rs");
    fs::write(out, Generator::new(&set).generate(&set)?)?;
    Ok(())
}

/// A message, and what has to be known to name it in Rust.
struct Named<'a> {
    message: &'a DescriptorProto,
    /// The module that has what is nested in it.
    inner: String,
}

struct Generator<'a> {
    messages: BTreeMap<String, Named<'a>>,
}

impl<'a> Generator<'a> {
    fn new(set: &'a FileDescriptorSet) -> Self {
        let mut messages = BTreeMap::new();
        for file in &set.file {
            let module = module(file.package());
            for message in &file.message_type {
                add(
                    &mut messages,
                    &format!(".{}", file.package()),
                    &module,
                    message,
                );
            }
        }
        Self { messages }
    }

    fn generate(&self, set: &FileDescriptorSet) -> Result<String, Box<dyn Error>> {
        let mut out = String::new();
        let mut long_polls = String::new();
        for (package, name) in SERVICES {
            let file = set
                .file
                .iter()
                .find(|file| file.package() == package && !file.service.is_empty())
                .ok_or_else(|| format!("the SDK has no service in the package {package}"))?;
            for service in &file.service {
                let path = format!("{package}.{}", service.name());
                writeln!(out, "/// The unary methods of `{path}`.\npub mod {name} {{")?;
                writeln!(out, "use super::*;")?;
                for method in unary(service) {
                    self.method(&mut out, &mut long_polls, name, &path, method)?;
                }
                writeln!(out, "}}")?;
            }
        }
        writeln!(
            out,
            "pub(super) fn is_long_poll(request: &Request<Body>) -> bool {{
                match request.uri().path() {{ {long_polls} _ => false }}
            }}"
        )?;
        Ok(out)
    }

    fn method(
        &self,
        out: &mut String,
        long_polls: &mut String,
        module: &str,
        service: &str,
        method: &MethodDescriptorProto,
    ) -> Result<(), Box<dyn Error>> {
        let name = method.name();
        let waits = self.waits(method);
        let path = format!("/{service}/{name}");
        writeln!(
            out,
            "method! {{ {doc:?}, {name}, {service:?}, {path:?}, {input}, {output}, \
             headers: [{headers}], target: |input, target| {{ {target} }}, \
             is_long_poll: |input| {waits} }}",
            doc = format!(
                "`{name}` of `{service}`: {} → {}.",
                doc_link(method.input_type()),
                doc_link(method.output_type())
            ),
            input = rust_type(method.input_type()),
            output = rust_type(method.output_type()),
            headers = self.header(method.input_type())?.unwrap_or_default(),
            target = target(name, self.fields(method.input_type())),
        )?;
        match waits.as_str() {
            "false" => {}
            "true" => write!(long_polls, "{path:?} => true, ")?,
            _ => write!(
                long_polls,
                "{path:?} => waits::<{module}::{name}>(request), "
            )?,
        }
        Ok(())
    }

    fn fields(&self, message: &str) -> &'a [FieldDescriptorProto] {
        self.messages
            .get(message)
            .map_or(&[], |named| named.message.field.as_slice())
    }

    /// Whether the server holds a call until something happens, as an expression of its `input`.
    ///
    /// It does for whatever is named a poll, for whatever waits for a stage of an update, and for requests that say so
    /// in a field.
    fn waits(&self, method: &MethodDescriptorProto) -> String {
        let mut seen = HashSet::new();
        if method.name().starts_with("Poll")
            || self.contains(method.input_type(), WAIT_POLICY, &mut seen)
        {
            return "true".to_owned();
        }
        let fields = self.fields(method.input_type()).iter();
        let conditions: Vec<_> = fields
            .filter_map(|field| match (field.name(), field.r#type()) {
                ("wait_new_event", Type::Bool) => Some("input.wait_new_event"),
                ("long_poll_token", Type::Bytes) => Some("!input.long_poll_token.is_empty()"),
                _ => None,
            })
            .collect();
        if conditions.is_empty() {
            return "false".to_owned();
        }
        conditions.join(" || ")
    }

    /// Whether a message has the other in it, at any depth.
    fn contains(&self, message: &str, other: &str, seen: &mut HashSet<String>) -> bool {
        message == other
            || seen.insert(message.to_owned())
                && self
                    .fields(message)
                    .iter()
                    .filter(|field| field.r#type() == Type::Message)
                    .any(|field| self.contains(field.type_name(), other, seen))
    }

    /// The way to the Temporal headers of a request, as a `let` chain for each step: the shortest there is.
    fn header(&self, message: &str) -> Result<Option<String>, Box<dyn Error>> {
        let mut queue = VecDeque::from([(message.to_owned(), Vec::<String>::new())]);
        while let Some((message, steps)) = queue.pop_front() {
            for field in self.fields(&message) {
                if field.r#type() != Type::Message || field.label() == Label::Repeated {
                    continue;
                }
                let mut steps = steps.clone();
                if field.type_name() == HEADER {
                    steps.push(field.name().to_owned());
                    return Ok(Some(steps.join(", ")));
                }
                if steps.len() + 1 == DEPTH {
                    continue;
                }
                match field.oneof_index {
                    Some(index) if !field.proto3_optional() => {
                        let named = &self.messages[&message];
                        let oneof = named.message.oneof_decl[usize::try_from(index)?].name();
                        steps.push(format!(
                            "{oneof}({}::{}::{})",
                            named.inner,
                            upper_camel(oneof),
                            upper_camel(field.name())
                        ));
                    }
                    _ => steps.push(field.name().to_owned()),
                }
                queue.push_back((field.type_name().to_owned(), steps));
            }
        }
        Ok(None)
    }
}

fn add<'a>(
    messages: &mut BTreeMap<String, Named<'a>>,
    scope: &str,
    module: &str,
    message: &'a DescriptorProto,
) {
    let name = format!("{scope}.{}", message.name());
    let inner = format!("{module}::{}", snake_case(message.name()));
    for nested in &message.nested_type {
        add(messages, &name, &inner, nested);
    }
    messages.insert(name, Named { message, inner });
}

fn unary(service: &ServiceDescriptorProto) -> impl Iterator<Item = &MethodDescriptorProto> {
    service
        .method
        .iter()
        .filter(|method| !method.client_streaming() && !method.server_streaming())
}

/// What a request is aimed at, as its fields name it.
fn target(method: &str, fields: &[FieldDescriptorProto]) -> String {
    let mut out = String::new();
    for field in fields {
        let name = field.name();
        match (name, field.r#type()) {
            ("workflow_id" | "run_id" | "activity_id" | "schedule_id", Type::String) => {
                out += &format!("target.{name} = text(&input.{name});");
            }
            ("signal_name", Type::String) => out += "target.name = text(&input.signal_name);",
            ("namespace", Type::String) if method.contains("Namespace") => {
                out += "target.name = text(&input.namespace);";
            }
            ("workflow_type" | "activity_type" | "task_queue", Type::Message) => {
                out += &format!(
                    "target.{name} = input.{name}.as_ref().and_then(|it| text(&it.name));"
                );
            }
            ("workflow_execution" | "execution", Type::Message)
                if field.type_name() == ".temporal.api.common.v1.WorkflowExecution" =>
            {
                out += &format!(
                    "target.workflow_id = input.{name}.as_ref().and_then(|it| text(&it.workflow_id));
                     target.run_id = input.{name}.as_ref().and_then(|it| text(&it.run_id));"
                );
            }
            _ => {}
        }
    }
    out
}

fn module(package: &str) -> String {
    format!("::temporalio_protos::{}", package.replace('.', "::"))
}

/// The Rust type of a message that is not nested in another.
fn rust_type(message: &str) -> String {
    match message.trim_start_matches('.') {
        "google.protobuf.Empty" => "()".to_owned(),
        message => {
            let (package, name) = message.rsplit_once('.').unwrap_or(("", message));
            format!("{}::{name}", module(package))
        }
    }
}

fn doc_link(message: &str) -> String {
    match rust_type(message).trim_start_matches("::") {
        "()" => "`()`".to_owned(),
        path => format!("[`{}`]({path})", message.rsplit('.').next().unwrap_or(path)),
    }
}

fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn upper_camel(name: &str) -> String {
    name.split('_')
        .flat_map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            [first.to_ascii_uppercase(), rest.to_owned()]
        })
        .collect()
}
