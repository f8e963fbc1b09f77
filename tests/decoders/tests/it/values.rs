//! Values that are deep, huge, or made to be slow.

use std::thread;

use session_core::{
    Bincode, Json, MAX_DEPTH, MAX_ENCODED_LEN, MessagePack, Postcard, Serializer, Value,
};

const SERIALIZERS: [&dyn Serializer; 4] = [&Bincode, &Postcard, &MessagePack, &Json];

/// Runs work on a thread that has a quarter of the usual stack.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(512 << 10).spawn(work).unwrap().join().unwrap();
}

fn bytes(serializer: &dyn Serializer, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    serializer.encode(value, &mut out).unwrap();
    out
}

#[test]
fn deep_and_huge_values_are_cloned_and_dropped_on_a_small_stack() {
    on_a_small_stack(|| {
        for serializer in SERIALIZERS {
            let mut deep = Value::Null;
            for _ in 0..MAX_DEPTH {
                deep = Value::List(vec![deep]);
            }
            let huge = Value::List(vec![Value::from(1); MAX_ENCODED_LEN / 8]);
            let long = Value::Bytes(vec![7; MAX_ENCODED_LEN / 2]);
            for value in [deep, huge, long] {
                let read = serializer.decode(&bytes(serializer, &value)).unwrap();
                let copy = read.clone();
                assert!(copy == value, "{}", serializer.name());
                drop((read, copy));
            }
        }
    });
}

/// Maps are lists of pairs: there is no table whose slots a client could choose
/// keys for. Keys that differ only in their last bytes are the worst that
/// comparisons can get.
#[test]
fn many_keys_that_are_nearly_alike_are_as_good_as_any() {
    let keys = (0..50_000_u64).map(|number| (format!("{number:064x}"), Value::Null));
    let map = Value::from_iter(keys);
    for serializer in SERIALIZERS {
        assert!(
            serializer.decode(&bytes(serializer, &map)).unwrap() == map,
            "{}",
            serializer.name()
        );
    }
}
