use std::fmt;

macro_rules! target {
    ($($(#[$doc:meta])* $text:ident,)*) => {
        /// What a call is aimed at: the workflow, activity, handler or schedule, as far as the call says.
        ///
        /// Fill in what is known: `Target { name: Some("cancel"), ..Target::new() }`.
        ///
        /// Everything is borrowed from the request. It is meant for span names, metric labels and log lines;
        /// [`Display`](fmt::Display) writes the most telling parts in one line.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Target<'a> {
            $($(#[$doc])* pub $text: Option<&'a str>,)*
            /// The attempt, counted from 1.
            pub attempt: Option<u32>,
        }

        impl Target<'_> {
            /// An empty target.
            pub const fn new() -> Self {
                Self {
                    $($text: None,)*
                    attempt: None,
                }
            }
        }

        /// A [`Target`] that is kept beyond its request.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct OwnedTarget {
            $($text: Option<Box<str>>,)*
            attempt: Option<u32>,
        }

        impl From<Target<'_>> for OwnedTarget {
            fn from(target: Target<'_>) -> Self {
                Self {
                    $($text: target.$text.map(Into::into),)*
                    attempt: target.attempt,
                }
            }
        }

        impl OwnedTarget {
            /// The target.
            pub fn as_target(&self) -> Target<'_> {
                Target {
                    $($text: self.$text.as_deref(),)*
                    attempt: self.attempt,
                }
            }
        }
    };
}

target! {
    /// The workflow's type.
    workflow_type,
    /// The workflow's id.
    workflow_id,
    /// The workflow's run id; absent when the call is for the latest run.
    run_id,
    /// The activity's type.
    activity_type,
    /// The activity's id.
    activity_id,
    /// The name of the signal, query, update, timer or Nexus operation.
    name,
    /// The update's id.
    update_id,
    /// The schedule's id.
    schedule_id,
    /// The Nexus endpoint.
    endpoint,
    /// The task queue.
    task_queue,
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
            update_id: Some("j"),
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
