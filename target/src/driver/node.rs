//! The node's task: who may have a session.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use engine::{Action, Actions, Node, ToNode};

use super::{Shell, misplaced};

/// Runs until it is aborted.
pub(crate) async fn run_node(shell: Arc<Shell>) {
    let mut node = Node::new(shell.config());
    let mut actions = Actions::new();
    let mut messages = Vec::new();
    loop {
        poll_fn(
            |cx| match shell.directory.node().poll_take(cx, &mut messages) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            },
        )
        .await;
        for message in messages.drain(..) {
            // Without the node nobody could log in any more, so it outlives its own bugs.
            let handled = AssertUnwindSafe(|| turn(&shell, &mut node, message, &mut actions));
            if catch_unwind(handled).is_err() {
                tracing::error!("bug: the node panicked and goes on");
            }
        }
    }
}

fn turn(shell: &Shell, node: &mut Node, message: ToNode, actions: &mut Actions) {
    let now = shell.clock.now();
    node.handle(now, message, actions);
    while let Some(action) = actions.pop() {
        match shell.route(action) {
            None => {}
            Some(Action::Adopt(config)) => shell.adopt(config),
            Some(Action::Heard { version }) => {
                shell.heard.send_replace(version);
            }
            Some(Action::Vacated { unit, version }) => shell.units.vacate(unit, version),
            Some(Action::Event(event)) => shell.journal.tell(now, &event, None),
            Some(other) => misplaced("the node", &other),
        }
    }
}
