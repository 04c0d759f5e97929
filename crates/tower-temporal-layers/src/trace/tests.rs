use super::{DefaultMakeSpan, DefaultOnFailure, DefaultOnRequest, DefaultOnResponse, TraceLayer};
use crate::{
    CallInfo, Failure, Outcome,
    test_support::{
        ExecuteActivity, ExecuteWorkflow, InitializeWorkflow, ScheduleActivity, StartWorkflow,
        Surroundings, call,
    },
};
use std::{
    collections::HashMap,
    future::pending,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use tower::{ServiceBuilder, service_fn};
use tower_layer::Layer;
use tower_temporal_core::{
    BoxError, Denied, Next, Operation, Request, Terminal, from_fn,
    probe::{self, ClientProbe, ProbeError, ProbeInput},
};
use tracing::{Level, Span, info_span};

/// Runs `f` with a subscriber, and gives what it wrote, from `DEBUG` on.
fn written(f: impl AsyncFnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    tracing::subscriber::with_default(subscriber, || runtime.block_on(f()));
    let lines = lines.0.lock().unwrap().clone();
    String::from_utf8(lines).unwrap()
}

/// The one line that ends in or contains `text`.
fn line<'a>(written: &'a str, text: &str) -> &'a str {
    let mut lines = written.lines().filter(|line| line.contains(text));
    let line = lines
        .next()
        .unwrap_or_else(|| panic!("no `{text}` in\n{written}"));
    assert_eq!(lines.next(), None, "`{text}` is there once");
    line
}

/// What fails with an error of `O`.
fn failing<O: Operation<Error = ProbeError>>(
    text: &'static str,
) -> impl tower_service::Service<
    Request<O>,
    Response = u32,
    Error = ProbeError,
    Future = std::future::Ready<Result<u32, ProbeError>>,
> + Clone {
    service_fn(move |_: Request<O>| std::future::ready(Err(ProbeError::Failed(text.to_owned()))))
}

#[test]
fn a_call_is_a_span_and_what_it_logs_is_inside() {
    let text = written(async || {
        let stack = TraceLayer::new().layer(Terminal);
        let call = probe::call::<ClientProbe, _, _>(stack, 1, |_| {
            tracing::info!("inside");
            Ok(0)
        });
        call.await.unwrap();
    });
    let span = r#"temporal{category="client_outbound" operation="client_probe" name="target"}"#;
    assert_eq!(line(&text, "inside"), format!(" INFO {span}: inside"));
    assert_eq!(line(&text, "started"), format!("DEBUG {span}: started"));
    let finished = line(&text, "finished");
    assert!(finished.starts_with("DEBUG temporal{"), "{finished}");
    assert!(
        finished.contains(r#" outcome="ok" latency_ms="#),
        "{finished}"
    );
    let event = finished.split("}: ").nth(1).unwrap();
    assert!(event.contains(r#"outcome="ok" latency_ms="#), "{finished}");
}

#[test]
fn a_failure_is_an_error_that_says_its_kind_and_its_text() {
    let denied = written(async || {
        let deny = from_fn(async |_: Request<ClientProbe>, _: Next<ClientProbe>| {
            Err::<u32, _>(Denied::new("no"))
        });
        let stack = ServiceBuilder::new()
            .layer(TraceLayer::new())
            .layer(deny)
            .service(Terminal);
        let call = probe::call::<ClientProbe, _, _>(stack, 1, |_| Ok(0));
        call.await.unwrap_err();
    });
    // What it is that fails, and the word for it.
    type Case = (fn() -> BoxError, &'static str, &'static str);
    let errors: [Case; 3] = [
        (
            || ProbeError::Failed("no money".to_owned()).into(),
            "failed",
            "the probe failed: no money",
        ),
        (
            || tonic::Status::not_found("it").into(),
            "not_found",
            "not found",
        ),
        (
            || Denied::new("no").into(),
            "permission_denied",
            "denied: no",
        ),
    ];
    for (error, outcome, text) in errors {
        let written = written(async || {
            let fail = service_fn(move |_: Request<ExecuteActivity>| {
                std::future::ready(Err::<u32, _>(error()))
            });
            let stack = TraceLayer::new().layer(fail);
            call(stack, 1, &Surroundings::outside()).await.unwrap_err();
        });
        let failed = line(&written, "ERROR");
        let in_span = format!(r#"outcome="{outcome}" latency_ms="#);
        assert_eq!(
            failed.matches(&in_span).count(),
            2,
            "span and event: {failed}"
        );
        assert!(failed.to_lowercase().contains(text), "{failed}");
    }
    assert!(
        line(&denied, "ERROR").ends_with("error=denied: no"),
        "{denied}"
    );
}

#[test]
fn what_is_no_failure_is_no_error_and_says_what_it_is() {
    for (error, outcome) in [
        ("benign", "benign"),
        ("cancelled", "cancelled"),
        ("continued", "continued_as_new"),
    ] {
        let text = written(async || {
            let layer = TraceLayer::new().on_failure(|_: &Failure<'_>, _, _: &Span| {
                panic!("it has not failed");
            });
            let stack = layer.layer(failing::<ExecuteWorkflow>(error));
            let run = call(stack, 1, &Surroundings::workflow(false));
            run.await.unwrap_err();
        });
        let finished = line(&text, "finished");
        let outcome = format!(r#"outcome="{outcome}""#);
        assert_eq!(finished.matches(&outcome).count(), 2, "{finished}");
        assert!(!text.contains("ERROR"), "{text}");
    }
}

#[test]
fn a_replay_writes_nothing() {
    let text = written(async || {
        let layer = TraceLayer::new();
        let replayed = Surroundings::workflow(true);
        let fail = failing::<ExecuteWorkflow>("x");
        call(layer.layer(fail), 1, &replayed).await.unwrap_err();
        let fail = failing::<ScheduleActivity>("x");
        call(layer.layer(fail), 1, &replayed).await.unwrap_err();
        // It may be a replay, and does not know.
        let create = layer.layer(service_fn(async |_: Request<InitializeWorkflow>| {
            Ok::<_, BoxError>(1)
        }));
        let unborn = Surroundings::before_workflow();
        call(create, 1, &unborn).await.unwrap();
    });
    assert_eq!(text, "");
}

#[test]
fn the_end_of_a_call_that_began_in_a_replay_is_written() {
    let end = |result: fn() -> Result<u32, ProbeError>| {
        written(async || {
            let surroundings = Surroundings::workflow(true);
            let until_live = surroundings.clone();
            let run = service_fn(move |_: Request<ExecuteWorkflow>| {
                let until_live = until_live.clone();
                async move {
                    tokio::task::yield_now().await;
                    until_live.is_replaying.store(false, Ordering::SeqCst);
                    result()
                }
            });
            let run = call(TraceLayer::new().layer(run), 1, &surroundings);
            drop(run.await);
        })
    };
    let text = end(|| Err(ProbeError::Failed("no money".to_owned())));
    let failed = line(&text, "failed");
    assert_eq!(
        failed,
        "ERROR temporal{category=\"workflow_inbound\" operation=\"execute\" workflow_type=\"Order\" \
         workflow_id=\"order-1\" activity_type=\"charge\" resumed=true outcome=\"failed\"}: failed outcome=\"failed\" \
         error=the probe failed: no money"
    );
    assert_eq!(
        text.lines().count(),
        1,
        "its start was in the replay: {text}"
    );
    let text = end(|| Ok(1));
    let finished = line(&text, "finished");
    assert!(finished.starts_with("DEBUG temporal{"), "{finished}");
    assert!(
        finished.ends_with(r#"}: finished outcome="ok""#),
        "{finished}"
    );
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn hooks_need_no_subscriber() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let surroundings = Surroundings::workflow(true);
    let (until_live, ends) = (surroundings.clone(), seen.clone());
    let layer = TraceLayer::new().on_failure(
        move |failure: &Failure<'_>, latency: Option<Duration>, _: &Span| {
            ends.lock().unwrap().push((failure.kind.as_str(), latency));
        },
    );
    let stack = layer.layer(service_fn(move |_: Request<ExecuteWorkflow>| {
        until_live.is_replaying.store(false, Ordering::SeqCst);
        std::future::ready(Err::<u32, _>(ProbeError::Failed("x".to_owned())))
    }));
    tokio_test::block_on(call(stack, 1, &surroundings)).unwrap_err();
    assert_eq!(*seen.lock().unwrap(), [("failed", None)]);
}

#[test]
fn what_a_dropped_call_logs_is_in_its_span() {
    struct Loud;

    impl Drop for Loud {
        fn drop(&mut self) {
            tracing::info!("dropped");
        }
    }

    let text = written(async || {
        let stack = TraceLayer::new().layer(service_fn(|_: Request<ExecuteActivity>| {
            let loud = Loud;
            async move {
                let _loud = loud;
                pending::<Result<u32, BoxError>>().await
            }
        }));
        drop(call(stack, 1, &Surroundings::outside()));
    });
    let dropped = line(&text, "dropped");
    assert!(
        dropped.contains(r#"operation="execute_activity""#),
        "{dropped}"
    );
}

/// A clock that starts when the call has returned its future does not see what the call did before.
#[test]
fn the_latency_is_that_of_the_whole_call() {
    const WORK: Duration = Duration::from_millis(20);
    let seen = Arc::new(Mutex::new(None));
    let latencies = seen.clone();
    let layer = TraceLayer::new().on_response(move |outcome, latency, _: &Span| {
        *latencies.lock().unwrap() = Some((outcome, latency));
    });
    let stack = layer.layer(service_fn(|_: Request<StartWorkflow>| {
        std::thread::sleep(WORK);
        std::future::ready(Ok::<_, BoxError>(1))
    }));
    tokio_test::block_on(call(stack, 1, &Surroundings::outside())).unwrap();
    let (outcome, latency) = seen.lock().unwrap().expect("it has ended");
    assert_eq!(outcome, Outcome::Completed);
    assert!(latency >= Some(WORK), "{latency:?}");
}

#[test]
fn levels_and_headers_are_the_user_s_choice() {
    let payload = |data: &[u8]| Payload {
        data: data.to_vec(),
        ..Payload::default()
    };
    let headers: HashMap<_, _> = [
        ("user".to_owned(), payload(b"\"alice\"")),
        ("key".to_owned(), payload(&[0xff, 0xfe])),
    ]
    .into();
    let with = |layer: TraceLayer| {
        let headers = headers.clone();
        written(async || {
            let succeed = service_fn(async |_: Request<StartWorkflow>| Ok::<_, BoxError>(1));
            let outside = Surroundings::outside();
            let input = ProbeInput { value: 1, headers };
            call(layer.layer(succeed), input, &outside).await.unwrap();
            let fail = failing::<StartWorkflow>("x");
            call(layer.layer(fail), 1, &outside).await.unwrap_err();
        })
    };
    let text = with(TraceLayer::new());
    assert!(!text.contains("alice"), "{text}");

    let text = with(TraceLayer::new().make_span_with(DefaultMakeSpan::new().include_headers(true)));
    let headers = r#"headers={key: <2 bytes>, user: "alice"}"#;
    assert!(line(&text, "finished").contains(headers), "{text}");

    let text = with(
        TraceLayer::new()
            .make_span_with(DefaultMakeSpan::new().level(Level::TRACE))
            .on_request(DefaultOnRequest::new().level(Level::INFO))
            .on_response(DefaultOnResponse::new().level(Level::WARN))
            .on_failure(DefaultOnFailure::new().level(Level::TRACE)),
    );
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], " INFO started", "its span is on `TRACE`");
    assert!(lines[1].starts_with(" WARN finished"), "{text}");
    assert_eq!(lines[2..], [" INFO started"], "failures are on `TRACE`");
}

#[test]
fn closures_replace_what_is_written() {
    let failures = Arc::new(Mutex::new(Vec::new()));
    let seen = failures.clone();
    let text = written(async || {
        let layer = TraceLayer::new()
            .make_span_with(|call: &CallInfo<'_>| info_span!("mine", operation = call.operation))
            .on_request(|_: &CallInfo<'_>, _: &Span| tracing::info!("hello"))
            .on_response(())
            .on_failure(move |failure: &Failure<'_>, _, _: &Span| {
                seen.lock().unwrap().push(failure.to_string());
            });
        let stack = layer.layer(Terminal);
        let fail = |_| Err(ProbeError::Failed("x".to_owned()));
        let call = probe::call::<ClientProbe, _, _>(stack, 1, fail);
        call.await.unwrap_err();
    });
    assert_eq!(text, " INFO mine{operation=\"client_probe\"}: hello\n");
    assert_eq!(*failures.lock().unwrap(), ["the probe failed: x"]);
}
