//! Whether the SDK can intercept something that has no operation here.

use cargo_metadata::MetadataCommand;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};
use syn::{ImplItem, Item, TraitItem, Type, Visibility};
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

/// The SDK's calls by its handles and its client, and the requests that stand here for them.
///
/// A call is `async`, but for those that give a stream.
fn requests() -> BTreeMap<&'static str, Vec<(&'static str, &'static str)>> {
    BTreeMap::from([
        (
            "WorkflowHandle",
            vec![
                ("get_result", "get_workflow_result"),
                ("signal", "signal_workflow"),
                ("query", "query_workflow"),
                ("execute_update", "execute_workflow_update"),
                ("start_update", "start_workflow_update"),
                ("cancel", "cancel_workflow"),
                ("terminate", "terminate_workflow"),
                ("describe", "describe_workflow"),
                ("fetch_history", "fetch_workflow_history"),
            ],
        ),
        (
            "WorkflowUpdateHandle",
            vec![("get_result", "get_workflow_update_result")],
        ),
        (
            "ScheduleHandle",
            vec![
                ("describe", "describe_schedule"),
                ("update", "update_schedule"),
                ("send_update", "send_schedule_update"),
                ("delete", "delete_schedule"),
                ("pause", "pause_schedule"),
                ("unpause", "unpause_schedule"),
                ("trigger", "trigger_schedule"),
                ("backfill", "backfill_schedule"),
            ],
        ),
        (
            "ActivityHandle",
            vec![
                ("result", "get_activity_result"),
                ("describe", "describe_activity"),
                ("cancel", "cancel_activity"),
                ("terminate", "terminate_activity"),
            ],
        ),
        (
            "AsyncActivityHandle",
            vec![
                ("complete", "complete_async_activity"),
                ("fail", "fail_async_activity"),
                ("report_cancelation", "report_async_activity_cancellation"),
                ("heartbeat", "heartbeat_async_activity"),
            ],
        ),
        (
            "Client",
            // `connect` makes one, and is a call of the connection's.
            vec![
                ("start_workflow", "start_workflow"),
                ("signal_with_start_workflow", "signal_with_start_workflow"),
                (
                    "start_update_with_start_workflow",
                    "start_update_with_start_workflow",
                ),
                (
                    "execute_update_with_start_workflow",
                    "execute_update_with_start_workflow",
                ),
                ("list_workflows", "list_workflows"),
                ("count_workflows", "count_workflows"),
                ("start_activity", "start_activity"),
                ("list_activities", "list_activities"),
                ("count_activities", "count_activities"),
                ("create_schedule", "create_schedule"),
                ("list_schedules", "list_schedules"),
            ],
        ),
    ])
}

#[test]
fn every_call_of_the_sdk_s_client_has_a_request() {
    let requests = requests();
    let called = calls();
    for (owner, calls) in &requests {
        let found = called
            .get(*owner)
            .unwrap_or_else(|| panic!("the SDK no longer has `{owner}`"));
        for (method, _) in calls {
            assert!(
                found.iter().any(|(name, _)| name == method),
                "`{owner}::{method}` is no longer in the SDK: {found:?}"
            );
        }
        for (name, is_async) in found {
            let is_call = *is_async && (*owner, name.as_str()) != ("Client", "connect");
            assert!(
                !is_call || calls.iter().any(|(method, _)| method == name),
                "the SDK's `{owner}::{name}` has no request here"
            );
        }
    }
    let named: BTreeSet<_> = requests.values().flatten().map(|(_, name)| *name).collect();
    let operations: BTreeSet<_> = client::service::OPERATIONS.iter().copied().collect();
    assert_eq!(named, operations);
}

/// The public methods of the SDK's client and its handles, and whether they are `async`.
fn calls() -> BTreeMap<String, Vec<(String, bool)>> {
    let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for source in sdk_sources(&["temporalio-client"]) {
        let text = fs::read_to_string(&source)
            .unwrap_or_else(|error| panic!("{}: {error}", source.display()));
        let file =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
        for item in &file.items {
            let (owner, methods) = match item {
                Item::Trait(item) => {
                    let methods = item.items.iter().filter_map(|item| match item {
                        TraitItem::Fn(method) => Some(&method.sig),
                        _ => None,
                    });
                    (item.ident.to_string(), methods.collect::<Vec<_>>())
                }
                Item::Impl(item) if item.trait_.is_none() => {
                    let Type::Path(path) = &*item.self_ty else {
                        continue;
                    };
                    let owner = path.path.segments.last().expect("a path has a name");
                    let methods = item.items.iter().filter_map(|item| match item {
                        ImplItem::Fn(method) if matches!(method.vis, Visibility::Public(_)) => {
                            Some(&method.sig)
                        }
                        _ => None,
                    });
                    (owner.ident.to_string(), methods.collect())
                }
                _ => continue,
            };
            let methods = methods.into_iter().map(|method| {
                let returns = gives_future(&method.output);
                (
                    method.ident.to_string(),
                    method.asyncness.is_some() || returns,
                )
            });
            found.entry(owner).or_default().extend(methods);
        }
    }
    found
}

/// Whether a function without `async` gives a future all the same, as those of a trait may.
fn gives_future(output: &syn::ReturnType) -> bool {
    let syn::ReturnType::Type(_, output) = output else {
        return false;
    };
    let Type::ImplTrait(output) = &**output else {
        return false;
    };
    output.bounds.iter().any(|bound| match bound {
        syn::TypeParamBound::Trait(bound) => {
            let last = bound.path.segments.last();
            last.is_some_and(|segment| segment.ident == "Future")
        }
        _ => false,
    })
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
