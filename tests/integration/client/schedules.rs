//! Calls about schedules.

use super::{Case, Given, InputOf, Outcome, OutputOf, Subject, workflows::second};
use crate::{fixtures::Basket, support::eventually};
use futures::TryStreamExt;
use std::time::{Duration, SystemTime};
use temporalio_client::{
    Client, RpcOptions,
    schedules::{
        BackfillScheduleOptions, CreateScheduleOptions, DeleteScheduleOptions,
        ListSchedulesOptions, PauseScheduleOptions, ScheduleAction, ScheduleBackfill,
        ScheduleDescription, ScheduleError, ScheduleHandle, ScheduleOverlapPolicy, ScheduleSpec,
        ScheduleUpdate, TriggerScheduleOptions, UnpauseScheduleOptions,
    },
};
use tonic::Code;
use tower_temporal::{Target, client};

type Handle = ScheduleHandle<Client>;

const HOUR: Duration = Duration::from_secs(3600);

/// A schedule that is paused, and whose workflows nobody runs.
fn options(queue: &str, id: &str) -> CreateScheduleOptions {
    CreateScheduleOptions::builder()
        .action(ScheduleAction::start_workflow(
            Basket::run,
            "alice".to_owned(),
            queue,
            format!("{id}-workflow"),
        ))
        .spec(ScheduleSpec::from_interval(HOUR))
        .paused(true)
        .note("the caller's")
        .build()
}

/// A backfill of half an hour around the full hour: one action.
fn one_action() -> ScheduleBackfill {
    let begin = SystemTime::UNIX_EPOCH + 490_000 * HOUR - HOUR / 4;
    ScheduleBackfill::new(begin, begin + HOUR / 2)
        .overlap_policy(ScheduleOverlapPolicy::AllowAll)
        .build()
}

/// What there is of a schedule, if it is there.
async fn find(client: &Client, id: &str) -> Option<ScheduleDescription> {
    match client
        .get_schedule_handle(id)
        .describe(RpcOptions::default())
        .await
    {
        Ok(description) => Some(description),
        Err(ScheduleError::Rpc(status)) if status.code() == Code::NotFound => None,
        Err(error) => panic!("can't tell whether there is `{id}`: {error:?}"),
    }
}

/// A schedule that is not there yet.
pub(super) struct Absent {
    client: Client,
    queue: String,
    id: String,
}

impl Subject for Absent {
    async fn arrange(given: Given) -> Self {
        let Given {
            client, id, queue, ..
        } = given;
        Self { client, queue, id }
    }

    fn target(&self) -> Target<'_> {
        Target {
            schedule_id: Some(&self.id),
            ..Target::new()
        }
    }

    async fn trace(&self) -> String {
        find(&self.client, &self.id).await.is_some().to_string()
    }
}

/// Two schedules: one that is called for, and one that a layer calls for instead.
pub(super) struct Two {
    client: Client,
    first: String,
    second: String,
}

impl Subject for Two {
    async fn arrange(given: Given) -> Self {
        let Given {
            client, id, queue, ..
        } = given;
        let (first, second) = (format!("{id}-first"), format!("{id}-second"));
        for id in [&first, &second] {
            let options = options(&queue, id);
            client.create_schedule(id, options).await.unwrap();
        }
        Self {
            client,
            first,
            second,
        }
    }

    fn target(&self) -> Target<'_> {
        Target {
            schedule_id: Some(&self.first),
            ..Target::new()
        }
    }

    /// What calls have done to the first schedule.
    async fn trace(&self) -> String {
        match find(&self.client, &self.first).await {
            Some(is) => format!(
                "paused: {}, note: {:?}, actions: {}, skipped: {}",
                is.paused(),
                is.note(),
                is.action_count(),
                is.overlap_skipped(),
            ),
            None => "none".to_owned(),
        }
    }
}

impl Two {
    /// The first, as `client` has it.
    fn handle(&self, client: &Client) -> Handle {
        client.get_schedule_handle(&self.first)
    }

    async fn describe(&self) -> ScheduleDescription {
        find(&self.client, &self.first)
            .await
            .expect("the first schedule is there")
    }

    async fn note(&self, id: &str) -> Option<String> {
        let description = find(&self.client, id).await.expect("the schedule is there");
        description.note().map(ToOwned::to_owned)
    }

    /// Waits until the first schedule has taken this many actions.
    async fn actions(&self, count: i64) {
        eventually(
            &format!("the schedule has taken {count} actions"),
            async || (self.describe().await.action_count() == count).then_some(()),
        )
        .await;
    }
}

pub(super) struct Create;

impl Case for Create {
    type Operation = client::CreateSchedule;
    type Subject = Absent;
    type Answer = Handle;

    async fn call(schedule: &Absent, client: &Client) -> Outcome<Self> {
        let Absent { id, queue, .. } = schedule;
        client.create_schedule(id, options(queue, id)).await
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.options.note, "the caller's");
        input.options.note = "the layer's".to_owned();
        input.options.spec = ScheduleSpec::from_interval(2 * HOUR);
        input.options.overlap_policy = ScheduleOverlapPolicy::BufferOne;
    }

    async fn check_input(schedule: &Absent, _: Handle) {
        let found = find(&schedule.client, &schedule.id).await.unwrap();
        assert_eq!(found.note(), Some("the layer's"));
        let schedule = found.raw().schedule.as_ref().unwrap();
        let interval = schedule.spec.as_ref().unwrap().interval[0].interval;
        assert_eq!(interval.unwrap().seconds, 2 * 3600);
        let policies = schedule.policies.as_ref().unwrap();
        assert_eq!(
            policies.overlap_policy().as_str_name(),
            "SCHEDULE_OVERLAP_POLICY_BUFFER_ONE"
        );
    }

    fn change_output(output: &mut OutputOf<Self>) {
        output.schedule_id = "another-schedule".to_owned();
    }

    async fn check_output(_: &Absent, answer: Handle) {
        assert_eq!(answer.schedule_id(), "another-schedule");
    }
}

pub(super) struct List;

impl List {
    fn query(id: &str) -> ListSchedulesOptions {
        let query = format!("ScheduleId = '{id}'");
        ListSchedulesOptions::builder().query(query).build()
    }
}

impl Case for List {
    type Operation = client::ListSchedulesPage;
    type Subject = Two;
    type Answer = Vec<String>;
    const CHANGES: bool = false;

    async fn prepare(two: &Two) {
        for id in [&two.first, &two.second] {
            eventually("the schedule is found", async || {
                let found = two.client.list_schedules(Self::query(id));
                found.try_collect::<Vec<_>>().await.unwrap().pop()
            })
            .await;
        }
    }

    fn target(_: &Two) -> Target<'_> {
        Target::new()
    }

    async fn call(two: &Two, client: &Client) -> Outcome<Self> {
        client
            .list_schedules(Self::query(&two.first))
            .map_ok(|schedule| schedule.schedule_id().to_owned())
            .try_collect()
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        input.query = second(&input.query);
    }

    async fn check_input(two: &Two, answer: Vec<String>) {
        assert_eq!(answer, [two.second.as_str()]);
    }

    fn change_output(output: &mut OutputOf<Self>) {
        for schedule in &mut output.schedules {
            schedule.schedule_id = "another-schedule".to_owned();
        }
    }

    async fn check_output(_: &Two, answer: Vec<String>) {
        assert_eq!(answer, ["another-schedule"]);
    }
}

pub(super) struct Describe;

impl Case for Describe {
    type Operation = client::DescribeSchedule;
    type Subject = Two;
    type Answer = ScheduleDescription;
    const CHANGES: bool = false;

    async fn prepare(two: &Two) {
        let other = two.client.get_schedule_handle(&two.second);
        other
            .pause(Some("the second's"), PauseScheduleOptions::default())
            .await
            .unwrap();
    }

    async fn call(two: &Two, client: &Client) -> Outcome<Self> {
        two.handle(client).describe(RpcOptions::default()).await
    }

    fn change_input(input: &mut InputOf<Self>) {
        input.schedule_id = second(&input.schedule_id);
    }

    async fn check_input(_: &Two, answer: ScheduleDescription) {
        assert_eq!(answer.note(), Some("the second's"));
    }

    fn change_output(output: &mut OutputOf<Self>) {
        let schedule = output.response.schedule.as_mut().unwrap();
        schedule.state.as_mut().unwrap().notes = "the layer's".to_owned();
    }

    async fn check_output(two: &Two, answer: ScheduleDescription) {
        assert_eq!(answer.note(), Some("the layer's"));
        assert_eq!(two.note(&two.first).await.as_deref(), Some("the caller's"));
    }
}

/// The SDK describes the schedule and sends the update within the one operation: no other is seen.
pub(super) struct Update;

impl Case for Update {
    type Operation = client::UpdateSchedule;
    type Subject = Two;
    type Answer = ();

    async fn call(two: &Two, client: &Client) -> Outcome<Self> {
        let handle = two.handle(client);
        let update = |update: &mut ScheduleUpdate| {
            update.set_note("updated");
        };
        handle.update(update, RpcOptions::default()).await
    }

    fn change_input(input: &mut InputOf<Self>) {
        input.schedule_id = second(&input.schedule_id);
    }

    async fn check_input(two: &Two, (): ()) {
        assert_eq!(two.note(&two.second).await.as_deref(), Some("updated"));
        assert_eq!(two.note(&two.first).await.as_deref(), Some("the caller's"));
    }
}

pub(super) struct SendUpdate;

impl Case for SendUpdate {
    type Operation = client::SendScheduleUpdate;
    type Subject = Two;
    type Answer = ();

    async fn call(two: &Two, client: &Client) -> Outcome<Self> {
        let mut update = two.describe().await.into_update();
        update.set_note("updated");
        let handle = two.handle(client);
        handle.send_update(update, RpcOptions::default()).await
    }

    fn change_input(input: &mut InputOf<Self>) {
        input.update.set_note("the layer's").set_paused(false);
    }

    async fn check_input(two: &Two, (): ()) {
        let is = two.describe().await;
        assert_eq!((is.note(), is.paused()), (Some("the layer's"), false));
    }
}

pub(super) struct Delete;

impl Case for Delete {
    type Operation = client::DeleteSchedule;
    type Subject = Two;
    type Answer = ();

    async fn call(two: &Two, client: &Client) -> Outcome<Self> {
        two.handle(client)
            .delete(DeleteScheduleOptions::default())
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        input.schedule_id = second(&input.schedule_id);
    }

    async fn check_input(two: &Two, (): ()) {
        eventually("the second schedule is deleted", async || {
            find(&two.client, &two.second).await.is_none().then_some(())
        })
        .await;
        two.describe().await;
    }
}

pub(super) struct Pause;

impl Case for Pause {
    type Operation = client::PauseSchedule;
    type Subject = Two;
    type Answer = ();

    async fn prepare(two: &Two) {
        two.handle(&two.client)
            .unpause(None::<String>, UnpauseScheduleOptions::default())
            .await
            .unwrap();
        eventually("the schedule runs", async || {
            let is = find(&two.client, &two.first).await?;
            (!is.paused()).then_some(())
        })
        .await;
    }

    async fn call(two: &Two, client: &Client) -> Outcome<Self> {
        two.handle(client)
            .pause(Some("paused"), PauseScheduleOptions::default())
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.note, "paused");
        input.note = "paused by a layer".to_owned();
    }

    async fn check_input(two: &Two, (): ()) {
        let is = two.describe().await;
        assert_eq!((is.note(), is.paused()), (Some("paused by a layer"), true));
    }
}

pub(super) struct Unpause;

impl Case for Unpause {
    type Operation = client::UnpauseSchedule;
    type Subject = Two;
    type Answer = ();

    async fn call(two: &Two, client: &Client) -> Outcome<Self> {
        two.handle(client)
            .unpause(Some("unpaused"), UnpauseScheduleOptions::default())
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.note, "unpaused");
        input.note = "unpaused by a layer".to_owned();
    }

    async fn check_input(two: &Two, (): ()) {
        let is = two.describe().await;
        assert_eq!(
            (is.note(), is.paused()),
            (Some("unpaused by a layer"), false)
        );
    }
}

pub(super) struct Trigger;

impl Case for Trigger {
    type Operation = client::TriggerSchedule;
    type Subject = Two;
    type Answer = ();

    /// Has the schedule's workflow running, so that it depends on the policy whether another is started.
    async fn prepare(two: &Two) {
        // Not a trigger: two of them within a second would start workflows with the same id.
        two.handle(&two.client)
            .backfill([one_action()], BackfillScheduleOptions::default())
            .await
            .unwrap();
        two.actions(1).await;
    }

    async fn call(two: &Two, client: &Client) -> Outcome<Self> {
        let options = TriggerScheduleOptions::default();
        two.handle(client)
            .trigger(ScheduleOverlapPolicy::Skip, options)
            .await
    }

    fn change_input(input: &mut InputOf<Self>) {
        assert_eq!(input.overlap_policy, ScheduleOverlapPolicy::Skip);
        input.overlap_policy = ScheduleOverlapPolicy::AllowAll;
    }

    async fn check_input(two: &Two, (): ()) {
        two.actions(2).await;
    }
}

pub(super) struct Backfill;

impl Case for Backfill {
    type Operation = client::BackfillSchedule;
    type Subject = Two;
    type Answer = ();

    async fn call(two: &Two, client: &Client) -> Outcome<Self> {
        let options = BackfillScheduleOptions::default();
        two.handle(client).backfill([one_action()], options).await
    }

    fn change_input(input: &mut InputOf<Self>) {
        input.backfills[0].end_time += 2 * HOUR;
    }

    async fn check_input(two: &Two, (): ()) {
        two.actions(3).await;
    }
}
