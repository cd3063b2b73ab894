//! The handles of one method.

use std::{sync::OnceLock, time::Duration};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use oneport_proto::{Class, Family, Method, Refusal};
use tonic::Code;

use super::{CALLS, CONSUL_CALL, DURATION, ERRORS, IN_FLIGHT, REFUSED};
use crate::label::{self, CODES, REFUSALS};

/// Whether this server leads, as far as the layer was told.
#[derive(Clone, Copy)]
pub(super) enum Leader {
    Unreported,
    No,
    Yes,
}

impl Leader {
    pub(super) const fn at(place: usize) -> Leader {
        match place {
            1 => Leader::No,
            2 => Leader::Yes,
            _ => Leader::Unreported,
        }
    }

    pub(super) const fn label(self) -> &'static str {
        match self {
            Leader::Unreported => "unreported",
            Leader::No => "false",
            Leader::Yes => "true",
        }
    }

    pub(super) const fn place(self) -> usize {
        match self {
            Leader::Unreported => 0,
            Leader::No => 1,
            Leader::Yes => 2,
        }
    }
}

/// The handles of one method.
pub(super) struct Row {
    pub(super) method: Method,
    pub(super) calls: Counter,
    pub(super) in_flight: Gauge,
    /// By whether the call asked to wait.
    duration: [OnceLock<Histogram>; 2],
    errors: [OnceLock<Counter>; CODES],
    refused: [OnceLock<Counter>; REFUSALS],
    /// By leader, whether it was an error, and whether it asked to wait.
    consul: [[[OnceLock<Histogram>; 2]; 2]; 3],
}

impl Row {
    pub(super) fn new(method: Method) -> Row {
        let (protocol, name) = (method.family().name(), method.name());
        Row {
            method,
            calls: counter!(CALLS, "protocol" => protocol, "method" => name),
            in_flight: gauge!(IN_FLIGHT, "protocol" => protocol, "method" => name),
            duration: Default::default(),
            errors: Default::default(),
            refused: Default::default(),
            consul: Default::default(),
        }
    }

    #[inline]
    pub(super) fn ended(&self, code: Code, took: Duration, blocking: bool, leader: Leader) {
        self.duration(blocking).record(took.as_secs_f64());
        let errored = code != Code::Ok;
        if errored {
            self.error(code);
        }
        if matches!(self.method.family(), Family::NetRpc) {
            let consul = self.consul(errored, blocking, leader);
            consul.record(took.as_secs_f64() * 1000.0);
        }
    }

    #[inline]
    fn duration(&self, blocking: bool) -> &Histogram {
        self.duration[usize::from(blocking)].get_or_init(|| {
            histogram!(
                DURATION,
                "protocol" => self.method.family().name(),
                "method" => self.method.name(),
                "blocking" => truth(blocking),
            )
        })
    }

    fn error(&self, code: Code) {
        let (place, name) = label::code(code);
        let errors = self.errors[place].get_or_init(|| {
            counter!(
                ERRORS,
                "protocol" => self.method.family().name(),
                "method" => self.method.name(),
                "code" => name,
            )
        });
        errors.increment(1);
    }

    pub(super) fn refused(&self, refusal: &Refusal) {
        let (place, name) = label::refusal(refusal);
        let refused = self.refused[place].get_or_init(|| {
            counter!(
                REFUSED,
                "protocol" => self.method.family().name(),
                "method" => self.method.name(),
                "reason" => name,
            )
        });
        refused.increment(1);
    }

    #[inline]
    fn consul(&self, errored: bool, blocking: bool, leader: Leader) -> &Histogram {
        let place = &self.consul[leader.place()][usize::from(errored)][usize::from(blocking)];
        place.get_or_init(|| {
            histogram!(
                CONSUL_CALL,
                "method" => self.method.name(),
                "errored" => truth(errored),
                "request_type" => request_type(self.method),
                "rpc_type" => "net/rpc",
                "leader" => leader.label(),
                "blocking" => truth(blocking),
            )
        })
    }
}

const fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

const fn request_type(method: Method) -> &'static str {
    match method {
        Method::Known(info) => match info.class {
            Class::Read => "read",
            Class::Write => "write",
            Class::Exempt => "unreported",
        },
        Method::Unknown(_) => "unreported",
    }
}
