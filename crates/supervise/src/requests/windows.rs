//! A console.

use super::Request;
use std::io;
use tokio::signal::windows::{
    CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close,
    ctrl_logoff, ctrl_shutdown,
};

#[derive(Debug)]
pub(super) struct Asking {
    interrupt: CtrlC,
    interrupt_all: CtrlBreak,
    close: CtrlClose,
    log_off: CtrlLogoff,
    shutdown: CtrlShutdown,
}

impl Asking {
    /// A console has nothing that stands for a new configuration.
    pub(super) fn register(_reload: bool) -> io::Result<Self> {
        Ok(Self {
            interrupt: ctrl_c()?,
            interrupt_all: ctrl_break()?,
            close: ctrl_close()?,
            log_off: ctrl_logoff()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    pub(super) async fn next(&mut self) -> Request {
        Request::Stop(tokio::select! {
            Some(()) = self.interrupt.recv() => "Ctrl-C",
            Some(()) = self.interrupt_all.recv() => "Ctrl-Break",
            Some(()) = self.close.recv() => "a window that is closed",
            Some(()) = self.log_off.recv() => "a user who logs off",
            Some(()) = self.shutdown.recv() => "a shutdown",
            // None comes any more, as the runtime is going away.
            else => std::future::pending().await,
        })
    }
}
