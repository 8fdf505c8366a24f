//! Leaves out whole parties with all they do.

use super::Search;
use crate::worlds::Complaint;
use crate::worlds::plan::{Event, Fault, Plan, What};
use crate::worlds::text::client;

impl<F: FnMut(&Plan) -> Option<Complaint>> Search<F> {
    pub(super) fn drop_parties(&mut self) -> bool {
        let mut changed = self.edit(|plan| plan.setting.deviants.clear());
        for number in (0..self.best.setting.deviants.len()).rev() {
            changed |= self.edit(|plan| {
                plan.setting.deviants.remove(number);
            });
        }
        for number in (0..self.best.setting.initiators.len()).rev() {
            changed |= self.edit(|plan| drop_initiator(plan, number as u8));
        }
        for number in (0..self.best.setting.targets.len()).rev() {
            // A world without a target is none.
            if self.best.setting.targets.len() > 1 {
                changed |= self.edit(|plan| drop_target(plan, number as u8));
            }
        }
        changed | self.merge_parties()
    }

    /// Has one do what another did as well.
    fn merge_parties(&mut self) -> bool {
        let mut changed = false;
        for gone in (1..self.best.setting.initiators.len() as u8).rev() {
            changed |= (0..gone).any(|heir| self.edit(|plan| merge_initiator(plan, gone, heir)));
        }
        for gone in (1..self.best.setting.targets.len() as u8).rev() {
            changed |= (0..gone).any(|heir| self.edit(|plan| merge_target(plan, gone, heir)));
        }
        changed
    }
}

/// Takes an initiator out, with its steps and what happens to its connection.
fn drop_initiator(plan: &mut Plan, gone: u8) {
    plan.setting.initiators.remove(usize::from(gone));
    plan.events.retain_mut(|event| match initiator(event) {
        Some(number) => renumber(number, gone),
        None => true,
    });
}

/// Takes an initiator out; another does what it did.
fn merge_initiator(plan: &mut Plan, gone: u8, heir: u8) {
    for number in plan.events.iter_mut().filter_map(initiator) {
        inherit(number, gone, heir);
    }
    drop_initiator(plan, gone);
}

/// Takes a target out, with everybody who talks to it and what happens to it.
fn drop_target(plan: &mut Plan, gone: u8) {
    let setting = &mut plan.setting;
    let is_its = |&number: &usize| setting.initiators[number].target == gone;
    let its: Vec<usize> = (0..setting.initiators.len()).filter(is_its).collect();
    for number in its.into_iter().rev() {
        drop_initiator(plan, number as u8);
    }
    let setting = &mut plan.setting;
    setting.targets.remove(usize::from(gone));
    let deviants = &mut setting.deviants;
    deviants.retain_mut(|deviant| renumber(&mut deviant.target, gone));
    for initiator in &mut setting.initiators {
        renumber(&mut initiator.target, gone);
    }
    let stays = |number: &mut u8| renumber(number, gone);
    plan.events.retain_mut(|event| each_target(event, stays));
}

/// Takes a target out; another takes its place with everybody.
fn merge_target(plan: &mut Plan, gone: u8, heir: u8) {
    let setting = &mut plan.setting;
    for initiator in &mut setting.initiators {
        inherit(&mut initiator.target, gone, heir);
    }
    for deviant in &mut setting.deviants {
        inherit(&mut deviant.target, gone, heir);
    }
    for event in &mut plan.events {
        each_target(event, |number| {
            inherit(number, gone, heir);
            true
        });
    }
    drop_target(plan, gone);
}

fn inherit(number: &mut u8, gone: u8, heir: u8) {
    if *number == gone {
        *number = heir;
    }
}

/// The number of the one who is left when `gone` is not there any more; false: it is that one.
fn renumber(number: &mut u8, gone: u8) -> bool {
    let stays = *number != gone;
    *number -= u8::from(*number > gone);
    stays
}

/// Changes every target that a fault is about. Says whether the fault stays.
fn each_target(event: &mut Event, mut change: impl FnMut(&mut u8) -> bool) -> bool {
    match &mut event.what {
        What::Fault(Fault::Crash { target, .. } | Fault::Shutdown { target, .. }) => change(target),
        What::Fault(Fault::Cluster(words)) => {
            let mut stays = true;
            let renamed = words.split(' ').map(|word| match client(word) {
                Some(mut number) => {
                    stays &= change(&mut number);
                    format!("C{number}")
                }
                None => word.to_owned(),
            });
            let renamed: Vec<String> = renamed.collect();
            *words = renamed.join(" ");
            stays
        }
        _ => true,
    }
}

fn initiator(event: &mut Event) -> Option<&mut u8> {
    match &mut event.what {
        What::Step(initiator, _)
        | What::Fault(
            Fault::Cut { initiator }
            | Fault::HalfClose { initiator }
            | Fault::Stall { initiator, .. },
        ) => Some(initiator),
        What::Fault(
            Fault::Cluster(_)
            | Fault::Crash { .. }
            | Fault::Blackout { .. }
            | Fault::Shutdown { .. },
        ) => None,
    }
}
