//! Whether the SDK can intercept something that has no operation here.

use cargo_metadata::MetadataCommand;
use std::{collections::BTreeMap, fs, path::PathBuf};
use syn::{Item, TraitItem};
use tower_temporal::{activity, client, workflow};

/// The SDK's interceptor traits, and what stands here for their methods.
///
/// A method that is no call but an event of a worker's life (`WorkerInterceptor`) has no request and no response, so it is
/// no service.
fn covered() -> BTreeMap<&'static str, Vec<&'static str>> {
    let workflow = [workflow::INBOUND_OPERATIONS, workflow::OUTBOUND_OPERATIONS].concat();
    BTreeMap::from([
        ("ClientInterceptor", client::OPERATIONS.to_vec()),
        ("WorkflowInterceptor", workflow),
        (
            "ActivityInboundInterceptor",
            activity::INBOUND_OPERATIONS.to_vec(),
        ),
        (
            "WorkerInterceptor",
            vec![
                "run_worker",
                "with_workflow_replay_worker",
                "on_workflow_activation_completion",
                "on_shutdown",
                "on_workflow_activation",
            ],
        ),
    ])
}

/// The one call of the SDK that is two operations here.
fn operations_of(method: &str) -> Vec<&str> {
    match method {
        "signal_workflow" => vec![
            "signal_workflow",
            "signal_child_workflow",
            "signal_external_workflow",
        ],
        method => vec![method],
    }
}

#[test]
fn every_method_of_the_sdk_s_interceptors_has_an_operation() {
    let covered = covered();
    let mut found = BTreeMap::new();
    for (name, methods) in interceptor_traits() {
        let Some(operations) = covered.get(name.as_str()) else {
            panic!(
                "the SDK has a new interceptor, `{name}`, with {methods:?}: give it operations, or say here why not"
            );
        };
        for method in &methods {
            assert!(
                operations_of(method)
                    .iter()
                    .any(|operation| operations.contains(operation)),
                "the SDK's `{name}::{method}` has no operation here"
            );
        }
        found.insert(name, methods);
    }
    for (name, operations) in &covered {
        let methods = found
            .get(*name)
            .unwrap_or_else(|| panic!("the SDK no longer has `{name}`"));
        for operation in operations {
            assert!(
                methods
                    .iter()
                    .any(|method| operations_of(method).contains(operation)),
                "`{operation}` is no longer a method of the SDK's `{name}`"
            );
        }
    }
}

/// The names and methods of all public traits of the SDK that are called interceptors.
fn interceptor_traits() -> Vec<(String, Vec<String>)> {
    sdk_sources(&["temporalio-client", "temporalio-sdk", "temporalio-workflow"])
        .iter()
        .flat_map(|source| {
            let text = fs::read_to_string(source)
                .unwrap_or_else(|error| panic!("{}: {error}", source.display()));
            let file = syn::parse_file(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", source.display()));
            traits(&file.items)
        })
        .collect()
}

fn traits(items: &[Item]) -> Vec<(String, Vec<String>)> {
    items
        .iter()
        .flat_map(|item| match item {
            Item::Trait(item) if item.ident.to_string().ends_with("Interceptor") => {
                let methods = item.items.iter().filter_map(|item| match item {
                    TraitItem::Fn(method) => Some(method.sig.ident.to_string()),
                    _ => None,
                });
                vec![(item.ident.to_string(), methods.collect())]
            }
            Item::Mod(module) => module
                .content
                .as_ref()
                .map_or_else(Vec::new, |(_, items)| traits(items)),
            _ => Vec::new(),
        })
        .collect()
}

/// Every source file of these of the SDK's crates, as this build uses them.
pub(crate) fn sdk_sources(crates: &[&str]) -> Vec<PathBuf> {
    let metadata = MetadataCommand::new()
        .exec()
        .expect("cargo tells where its packages are");
    let sources: Vec<PathBuf> = metadata
        .packages
        .iter()
        .filter(|package| crates.contains(&package.name.as_str()))
        .map(|package| {
            package
                .manifest_path
                .parent()
                .expect("a manifest is in a folder")
                .join("src")
                .into()
        })
        .collect();
    assert_eq!(
        sources.len(),
        crates.len(),
        "one version of each of {crates:?}: {sources:?}"
    );
    sources.into_iter().flat_map(files_below).collect()
}

fn files_below(folder: PathBuf) -> Vec<PathBuf> {
    fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .flat_map(|entry| {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                files_below(path)
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                vec![path]
            } else {
                Vec::new()
            }
        })
        .collect()
}
