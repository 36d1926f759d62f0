//! Of several callers that want the same one goes, and the others wait for what it brings.

use mainstay_cache::{Flights, Lead, Turn};
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

type Waiting<'a> = Pin<Box<dyn Future<Output = Turn<&'static str>> + 'a>>;

fn poll(
    future: Pin<&mut (impl Future<Output = Turn<&'static str>> + ?Sized)>,
) -> Option<Turn<&'static str>> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(turn) => Some(turn),
        Poll::Pending => None,
    }
}

fn lead(turn: Option<Turn<&'static str>>) -> Lead<&'static str> {
    match turn {
        Some(Turn::Lead(lead)) => lead,
        other => panic!("{other:?}"),
    }
}

fn waiting<'a>(flights: &'a Flights<&'static str>, count: usize) -> Vec<Waiting<'a>> {
    let mut all: Vec<Waiting<'a>> = (0..count)
        .map(|_| Box::pin(flights.turn("a")) as Waiting<'a>)
        .collect();
    for one in &mut all {
        assert!(poll(one.as_mut()).is_none());
    }
    all
}

#[test]
fn one_goes_and_the_others_look_again_when_it_is_back() {
    let flights = Flights::new();
    let first = lead(poll(pin!(flights.turn("a"))));
    let mut others = waiting(&flights, 5);
    // Another key is nobody's business.
    lead(poll(pin!(flights.turn("b")))).shared();
    first.shared();
    for other in &mut others {
        assert!(matches!(poll(other.as_mut()), Some(Turn::Look)));
    }
    drop(others);
    assert!(flights.is_empty());
}

#[test]
fn what_cannot_be_shared_sends_all_others_on_their_own_at_once() {
    let flights = Flights::new();
    let first = lead(poll(pin!(flights.turn("a"))));
    let mut others = waiting(&flights, 5);
    first.not_shared();
    for other in &mut others {
        assert!(matches!(poll(other.as_mut()), Some(Turn::Alone)));
    }
}

#[test]
fn a_leader_that_gives_up_is_followed_by_the_next_in_line() {
    let flights = Flights::new();
    let first = lead(poll(pin!(flights.turn("a"))));
    let mut others = waiting(&flights, 3);
    drop(first);
    let second = lead(poll(others[0].as_mut()));
    assert!(poll(others[1].as_mut()).is_none());
    // The one that is next gives up before it knows.
    drop(second);
    drop(others.remove(1));
    let third = lead(poll(others[1].as_mut()));
    let late = waiting(&flights, 1);
    third.shared();
    for mut other in late {
        assert!(matches!(poll(other.as_mut()), Some(Turn::Look)));
    }
    drop(others);
    assert!(flights.is_empty());
}

#[test]
fn whoever_comes_after_the_end_goes_anew() {
    let flights = Flights::new();
    lead(poll(pin!(flights.turn("a")))).shared();
    assert!(flights.is_empty());
    let again = lead(poll(pin!(flights.turn("a"))));
    assert_eq!(flights.len(), 1);
    drop(again);
    assert!(flights.is_empty());
}

#[test]
fn more_than_a_thousand_do_not_wait() {
    let flights = Flights::new();
    let _first = lead(poll(pin!(flights.turn("a"))));
    let others = waiting(&flights, 1_024);
    assert!(matches!(poll(pin!(flights.turn("a"))), Some(Turn::Alone)));
    drop(others);
    assert!(poll(pin!(flights.turn("a"))).is_none());
}

#[test]
fn more_than_a_thousand_keys_are_not_followed() {
    let flights = Flights::new();
    let mut leads = Vec::new();
    for key in 0..1_024 {
        let mut turn = pin!(flights.turn(key));
        let Poll::Ready(Turn::Lead(lead)) =
            turn.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        else {
            panic!("{key} should lead");
        };
        leads.push(lead);
    }
    let mut turn = pin!(flights.turn(1_024));
    let turn = turn.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(turn, Poll::Ready(Turn::Alone)));
}
