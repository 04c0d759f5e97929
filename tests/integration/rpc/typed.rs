//! Single methods, decoded, on the way to a real server.

use super::{channel, client_of, options, without_retries};
use crate::support::unique;
use std::sync::{Arc, Mutex};
use temporalio_client::{
    UntypedWorkflow, WorkflowDescribeOptions, WorkflowStartOptions, errors::WorkflowStartError,
    grpc::OperatorService,
};
use temporalio_common::{
    data_converters::RawValue,
    protos::temporal::api::{
        operatorservice::v1::ListSearchAttributesRequest,
        workflowservice::v1::{StartWorkflowExecutionRequest, StartWorkflowExecutionResponse},
    },
};
use tonic::{Code, Status};
use tower::{
    ServiceBuilder,
    util::{MapRequestLayer, MapResponseLayer, MapResultLayer},
};
use tower_temporal::{
    BoxError, Operation,
    rpc::{self, operator_service::ListSearchAttributes, workflow_service::StartWorkflowExecution},
};

type Start = tonic::Request<StartWorkflowExecutionRequest>;
type Started = tonic::Response<StartWorkflowExecutionResponse>;

#[tokio::test]
async fn a_layer_changes_a_request_and_sees_its_response() {
    let run_id = Arc::new(Mutex::new(String::new()));
    let in_layer = run_id.clone();
    let service = ServiceBuilder::new()
        .layer(rpc::on::<StartWorkflowExecution, _>(
            ServiceBuilder::new()
                .layer(MapRequestLayer::new(|mut request: Start| {
                    request.get_mut().workflow_id.push_str("-renamed");
                    request
                }))
                .layer(MapResponseLayer::new(move |response: Started| {
                    *in_layer.lock().unwrap() = response.get_ref().run_id.clone();
                    response
                })),
        ))
        .map_request(rpc::into_tonic)
        .service(channel().await);
    let client = client_of(rpc::connect(options(), service).await.unwrap()).await;
    let id = unique("typed");
    let start = WorkflowStartOptions::new(&id, &id).build();
    let handle = client
        .start_workflow(UntypedWorkflow::new("Nobody"), RawValue::empty(), start)
        .await
        .unwrap();
    let renamed = client.get_workflow_handle::<UntypedWorkflow>(format!("{id}-renamed"));
    let description = renamed.describe(WorkflowDescribeOptions::default()).await;
    let description = description.expect("the server knows it under the layer's name");
    assert_eq!(handle.run_id(), Some(description.run_id()));
    assert_eq!(*run_id.lock().unwrap(), description.run_id());
}

#[tokio::test]
async fn a_layer_sees_the_server_s_status_and_the_client_still_reads_its_details() {
    let codes = Arc::new(Mutex::new(Vec::new()));
    let in_layer = codes.clone();
    let layer = MapResultLayer::new(move |result: Result<Started, Status>| {
        let code = result.as_ref().map_or_else(Status::code, |_| Code::Ok);
        in_layer.lock().unwrap().push(code);
        result
    });
    let service = ServiceBuilder::new()
        .layer(rpc::on::<StartWorkflowExecution, _>(layer))
        .map_request(rpc::into_tonic)
        .service(channel().await);
    let client = client_of(rpc::connect(without_retries(), service).await.unwrap()).await;
    let id = unique("typed");
    super::start(&client, &id).await.unwrap();
    let error = super::start(&client, &id).await.unwrap_err();
    assert!(
        matches!(error, WorkflowStartError::AlreadyStarted { .. }),
        "{error:?}"
    );
    assert_eq!(*codes.lock().unwrap(), [Code::Ok, Code::AlreadyExists]);
}

#[tokio::test]
async fn an_operator_s_call_is_typed_too() {
    type Listed = tonic::Response<<ListSearchAttributes as Operation>::Output>;
    let layer = MapResponseLayer::new(|mut response: Listed| {
        response.get_mut().custom_attributes.clear();
        response
            .get_mut()
            .custom_attributes
            .insert("OnlyHere".to_owned(), 1);
        response
    });
    let service = ServiceBuilder::new()
        .layer(rpc::on::<ListSearchAttributes, _>(layer))
        .map_request(rpc::into_tonic)
        .map_err(BoxError::from)
        .service(channel().await);
    let mut connection = rpc::connect(options(), service).await.unwrap();
    let request = tonic::Request::new(ListSearchAttributesRequest {
        namespace: "default".to_owned(),
    });
    let listed = connection
        .list_search_attributes(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        listed.custom_attributes.len(),
        1,
        "what the layer made of it"
    );
    assert!(
        listed.system_attributes.contains_key("WorkflowId"),
        "what the server said"
    );
}
