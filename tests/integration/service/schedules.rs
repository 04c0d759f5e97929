//! Calls about schedules.

use super::Api;
use crate::{
    fixtures::Basket,
    support::{eventually, unique},
};
use futures::TryStreamExt;
use std::time::{Duration, SystemTime};
use temporalio_client::schedules::{
    CreateScheduleOptions, ListSchedulesOptions, ScheduleAction, ScheduleBackfill, ScheduleError,
    ScheduleOverlapPolicy, ScheduleSpec, ScheduleUpdate,
};
use tonic::Code;
use tower_temporal::client::service::{
    BackfillSchedule, CreateSchedule, DeleteSchedule, DescribeSchedule, ListSchedules,
    PauseSchedule, SendScheduleUpdate, TriggerSchedule, UnpauseSchedule, UpdateSchedule,
};

pub(super) const CALLS: &[&str] = &[
    "create_schedule",
    "list_schedules",
    "describe_schedule",
    "update_schedule",
    "send_schedule_update",
    "delete_schedule",
    "pause_schedule",
    "unpause_schedule",
    "trigger_schedule",
    "backfill_schedule",
];

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn every_call_about_schedules() {
    let api = Api::new().await;
    let id = unique("service-schedule");
    let action = ScheduleAction::start_workflow(Basket::run, "alice".to_owned(), &id, &id);
    let options = CreateScheduleOptions::builder()
        .action(action)
        .spec(ScheduleSpec::from_interval(HOUR))
        .paused(true)
        .build();
    let handle = api.call(CreateSchedule::new(&id, options)).await.unwrap();
    assert_eq!(handle.schedule_id(), id);

    let describe = || api.call(DescribeSchedule::new(&id, Default::default()));
    assert!(describe().await.unwrap().paused());
    let unpause = UnpauseSchedule::new(&id, Some("go".to_owned()), Default::default());
    api.call(unpause).await.unwrap();
    let described = describe().await.unwrap();
    assert_eq!((described.paused(), described.note()), (false, Some("go")));
    let pause = PauseSchedule::new(&id, Some("stop".to_owned()), Default::default());
    api.call(pause).await.unwrap();
    let described = describe().await.unwrap();
    assert_eq!((described.paused(), described.note()), (true, Some("stop")));

    let change = |update: &mut ScheduleUpdate| {
        update.set_note("changed");
    };
    let update = UpdateSchedule::new(&id, change, Default::default());
    api.call(update.clone()).await.unwrap();
    let described = describe().await.unwrap();
    assert_eq!(described.note(), Some("changed"));
    let mut update = described.into_update();
    update.set_note("sent");
    let send = SendScheduleUpdate::new(&id, update, Default::default());
    api.call(send).await.unwrap();
    assert_eq!(describe().await.unwrap().note(), Some("sent"));

    let trigger = TriggerSchedule::new(&id, ScheduleOverlapPolicy::AllowAll, Default::default());
    api.call(trigger).await.unwrap();
    // One after the other: of two patches of a schedule that come at the same time, the server may keep the later only.
    let actions = async |count| {
        eventually("the schedule's actions are taken", async || {
            (describe().await.unwrap().action_count() == count).then_some(())
        })
        .await;
    };
    actions(1).await;
    let begin = SystemTime::UNIX_EPOCH + 490_000 * HOUR - HOUR / 4;
    let backfill = ScheduleBackfill::new(begin, begin + HOUR / 2)
        .overlap_policy(ScheduleOverlapPolicy::AllowAll)
        .build();
    let backfill = BackfillSchedule::new(&id, vec![backfill], Default::default());
    api.call(backfill).await.unwrap();
    actions(2).await;

    eventually("the schedule is listed", async || {
        let list = ListSchedules::new(ListSchedulesOptions::default());
        let listed = api.call(list).await.unwrap();
        let listed: Vec<_> = listed.try_collect().await.unwrap();
        let mut listed = listed.iter();
        listed.any(|it| it.schedule_id() == id).then_some(())
    })
    .await;

    api.call(DeleteSchedule::new(&id, Default::default()))
        .await
        .unwrap();
    match describe().await.map(|_| ()) {
        Err(ScheduleError::Rpc(status)) => assert_eq!(status.code(), Code::NotFound),
        other => panic!("it is deleted: {other:?}"),
    }
    api.assert_called(CALLS);
}
