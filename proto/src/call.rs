//! The way in.

use crate::Head;

/// A request that carries a [`Head`]: what every layer asks of what passes through it.
pub trait Call {
    /// The head; `None` if nobody stamped the request, which layers refuse as an internal error.
    fn head(&self) -> Option<&Head>;

    /// The head, to be changed on the way in.
    fn head_mut(&mut self) -> Option<&mut Head>;
}

/// A plain HTTP request carries its head among the extensions, where a stamping layer put it.
impl<B> Call for http::Request<B> {
    fn head(&self) -> Option<&Head> {
        self.extensions().get()
    }

    fn head_mut(&mut self) -> Option<&mut Head> {
        self.extensions_mut().get_mut()
    }
}
