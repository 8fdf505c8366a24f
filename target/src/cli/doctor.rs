//! `glintd doctor gluster://…`: what is wrong with a volume, and what mends it.

use std::process::ExitCode;

use super::{ENVIRONMENT, USAGE};
use crate::gluster::{Checkup, Finding};

pub(super) fn examine(text: &str) -> ExitCode {
    let place = match Checkup::place(text) {
        Ok(place) => place,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(USAGE);
        }
    };
    let checkup = match Checkup::of(&place) {
        Ok(checkup) => checkup,
        Err(why) => {
            eprintln!("{why}");
            leave(ENVIRONMENT)
        }
    };
    checkup.findings.iter().for_each(tell);
    if let Some(image) = &checkup.image {
        println!("{image}");
    }
    let (volume, refused) = (&place.volume, checkup.is_refused());
    match (refused, checkup.findings.len()) {
        (true, _) => println!("volume {volume}: refused"),
        (false, 0) => println!("volume {volume}: in order"),
        (false, count) => println!("volume {volume}: may be served, warnings: {count}"),
    }
    leave(if refused { ENVIRONMENT } else { 0 })
}

fn tell(finding: &Finding) {
    let grade = if finding.refused {
        "refused"
    } else {
        "warning"
    };
    println!("{grade}: {}\n  {}", finding.what, finding.remedy);
}

/// At once: libgfapi's threads may hang, and leaving a volume takes ten seconds.
fn leave(code: u8) -> ! {
    std::process::exit(code.into())
}
