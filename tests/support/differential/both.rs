//! The two that are compared.

/// One of each: the real Consul's and ours.
#[derive(Clone, Debug, Default)]
pub(crate) struct Both<T> {
    pub(crate) consul: T,
    pub(crate) ours: T,
}

impl<T> Both<T> {
    pub(crate) fn new(consul: T, ours: T) -> Both<T> {
        Both { consul, ours }
    }

    pub(crate) fn map<U>(&self, mut make: impl FnMut(&T) -> U) -> Both<U> {
        Both::new(make(&self.consul), make(&self.ours))
    }

    pub(crate) fn each(&mut self) -> [&mut T; 2] {
        [&mut self.consul, &mut self.ours]
    }

    pub(crate) fn all(&self, mut holds: impl FnMut(&T) -> bool) -> bool {
        holds(&self.consul) && holds(&self.ours)
    }

    pub(crate) fn any(&self, mut holds: impl FnMut(&T) -> bool) -> bool {
        holds(&self.consul) || holds(&self.ours)
    }
}
