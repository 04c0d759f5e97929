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
    /// The update's id.
    pub update_id: Option<&'a str>,
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
            update_id: None,
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

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn the_label_is_the_most_specific_part() {
        let mut target = Target::workflow(Some("Order"), Some("order-1"));
        assert_eq!(target.to_string(), "Order");
        target.name = Some("cancel");
        assert_eq!(target.to_string(), "cancel");
        assert_eq!(Target::new().to_string(), "-");
    }
}
