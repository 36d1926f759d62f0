//! Makes a chosen system call of the current thread fail, for tests of what is left behind.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

thread_local! {
    static PLAN: RefCell<Option<Rc<RefCell<Plan>>>> = const { RefCell::new(None) };
    static MEANWHILE: RefCell<Option<Meanwhile>> = const { RefCell::new(None) };
}

/// What happens just before the next call of a name.
type Meanwhile = (&'static str, Box<dyn FnOnce()>);

/// Which calls fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// Only calls of this name; any where `None`.
    pub(crate) call: Option<&'static str>,
    /// The first that fails, counted from 0.
    pub(crate) at: usize,
    /// How many fail from there on.
    pub(crate) times: usize,
    /// The system's error number.
    pub(crate) code: i32,
}

struct Plan {
    faults: Vec<Counted>,
    calls: BTreeMap<&'static str, usize>,
}

struct Counted {
    fault: Fault,
    seen: usize,
    failed: usize,
}

/// Faults in force in this thread; they end when this is dropped.
pub(crate) struct Planned {
    plan: Rc<RefCell<Plan>>,
}

impl Fault {
    pub(crate) fn begin(self) -> Planned {
        begin_all(&[self])
    }
}

/// Several at once; where two meet the same call, the first is told.
pub(crate) fn begin_all(faults: &[Fault]) -> Planned {
    let counted = |fault: &Fault| Counted {
        fault: *fault,
        seen: 0,
        failed: 0,
    };
    let plan = Plan {
        faults: faults.iter().map(counted).collect(),
        calls: BTreeMap::new(),
    };
    let plan = Rc::new(RefCell::new(plan));
    PLAN.set(Some(Rc::clone(&plan)));
    Planned { plan }
}

impl Planned {
    /// How many calls the last of the faults has met so far.
    pub(crate) fn failed(&self) -> usize {
        self.plan
            .borrow()
            .faults
            .last()
            .map_or(0, |fault| fault.failed)
    }

    /// How many calls of that name were made so far, failed or not.
    pub(crate) fn calls(&self, call: &str) -> usize {
        self.plan.borrow().calls.get(call).copied().unwrap_or(0)
    }
}

impl Drop for Planned {
    fn drop(&mut self) {
        PLAN.set(None);
    }
}

impl Counted {
    /// Whether this call is one of those that fail.
    fn meets(&mut self, call: &str) -> bool {
        if self.fault.call.is_some_and(|wanted| wanted != call) {
            return false;
        }
        let number = self.seen;
        self.seen += 1;
        let is_met = number >= self.fault.at && number - self.fault.at < self.fault.times;
        self.failed += usize::from(is_met);
        is_met
    }
}

/// Lets somebody else do something just before the next call of that name.
pub(crate) fn meanwhile(call: &'static str, act: impl FnOnce() + 'static) {
    MEANWHILE.set(Some((call, Box::new(act))));
}

/// Fails where the plan says so.
pub(crate) fn pass(call: &'static str) -> io::Result<()> {
    if let Some((_, act)) = MEANWHILE.with_borrow_mut(|next| next.take_if(|next| next.0 == call)) {
        act();
    }
    let Some(plan) = PLAN.with_borrow(Clone::clone) else {
        return Ok(());
    };
    let mut plan = plan.borrow_mut();
    *plan.calls.entry(call).or_default() += 1;
    let mut code = None;
    for counted in &mut plan.faults {
        if counted.meets(call) {
            code = code.or(Some(counted.fault.code));
        }
    }
    code.map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(code)))
}
