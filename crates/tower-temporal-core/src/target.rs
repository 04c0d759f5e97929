use std::fmt;

/// What a call is aimed at: the workflow, activity, handler or schedule, as far as the call says.
///
/// Fill in what is known: `Target { name: Some("cancel"), ..Target::new() }`.
///
/// Everything is borrowed from the request. It is meant for span names, metric labels and log lines;
/// [`Display`](fmt::Display) writes the most telling parts in one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target<'a> {
    /// The workflow's type.
    pub workflow_type: Option<&'a str>,
    /// The workflow's id.
    pub workflow_id: Option<&'a str>,
    /// The workflow's run id; absent when the call is for the latest run.
    pub run_id: Option<&'a str>,
    /// The activity's type.
    pub activity_type: Option<&'a str>,
    /// The activity's id.
    pub activity_id: Option<&'a str>,
    /// The name of the signal, query, update, timer or Nexus operation.
    pub name: Option<&'a str>,
    /// The schedule's id.
    pub schedule_id: Option<&'a str>,
    /// The Nexus endpoint.
    pub endpoint: Option<&'a str>,
    /// The task queue.
    pub task_queue: Option<&'a str>,
    /// The attempt, counted from 1.
    pub attempt: Option<u32>,
}

impl<'a> Target<'a> {
    /// A target with a workflow's type and id.
    pub const fn workflow(workflow_type: Option<&'a str>, workflow_id: Option<&'a str>) -> Self {
        Self {
            workflow_type,
            workflow_id,
            ..Self::new()
        }
    }

    /// An empty target.
    pub const fn new() -> Self {
        Self {
            workflow_type: None,
            workflow_id: None,
            run_id: None,
            activity_type: None,
            activity_id: None,
            name: None,
            schedule_id: None,
            endpoint: None,
            task_queue: None,
            attempt: None,
        }
    }

    /// The one word that says most: the handler's name, the activity's, workflow's or schedule's type or id.
    pub fn label(&self) -> Option<&'a str> {
        self.name
            .or(self.activity_type)
            .or(self.workflow_type)
            .or(self.schedule_id)
            .or(self.activity_id)
            .or(self.workflow_id)
    }
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.label() {
            Some(label) => f.write_str(label),
            None => f.write_str("-"),
        }
    }
}

/// A [`Target`] that is kept beyond its request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedTarget {
    workflow_type: Option<Box<str>>,
    workflow_id: Option<Box<str>>,
    run_id: Option<Box<str>>,
    activity_type: Option<Box<str>>,
    activity_id: Option<Box<str>>,
    name: Option<Box<str>>,
    schedule_id: Option<Box<str>>,
    endpoint: Option<Box<str>>,
    task_queue: Option<Box<str>>,
    attempt: Option<u32>,
}

impl From<Target<'_>> for OwnedTarget {
    fn from(target: Target<'_>) -> Self {
        Self {
            workflow_type: target.workflow_type.map(Into::into),
            workflow_id: target.workflow_id.map(Into::into),
            run_id: target.run_id.map(Into::into),
            activity_type: target.activity_type.map(Into::into),
            activity_id: target.activity_id.map(Into::into),
            name: target.name.map(Into::into),
            schedule_id: target.schedule_id.map(Into::into),
            endpoint: target.endpoint.map(Into::into),
            task_queue: target.task_queue.map(Into::into),
            attempt: target.attempt,
        }
    }
}

impl OwnedTarget {
    /// The target.
    pub fn as_target(&self) -> Target<'_> {
        Target {
            workflow_type: self.workflow_type.as_deref(),
            workflow_id: self.workflow_id.as_deref(),
            run_id: self.run_id.as_deref(),
            activity_type: self.activity_type.as_deref(),
            activity_id: self.activity_id.as_deref(),
            name: self.name.as_deref(),
            schedule_id: self.schedule_id.as_deref(),
            endpoint: self.endpoint.as_deref(),
            task_queue: self.task_queue.as_deref(),
            attempt: self.attempt,
        }
    }
}

impl fmt::Display for OwnedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_target().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{OwnedTarget, Target};

    #[test]
    fn an_owned_target_is_the_same() {
        let target = Target {
            workflow_type: Some("a"),
            workflow_id: Some("b"),
            run_id: Some("c"),
            activity_type: Some("d"),
            activity_id: Some("e"),
            name: Some("f"),
            schedule_id: Some("g"),
            endpoint: Some("h"),
            task_queue: Some("i"),
            attempt: Some(1),
        };
        assert_eq!(OwnedTarget::from(target).as_target(), target);
    }

    #[test]
    fn the_label_is_the_most_specific_part() {
        let mut target = Target::workflow(Some("Order"), Some("order-1"));
        assert_eq!(target.to_string(), "Order");
        target.name = Some("cancel");
        assert_eq!(target.to_string(), "cancel");
        assert_eq!(Target::new().to_string(), "-");
    }
}
