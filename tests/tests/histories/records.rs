//! What is written can be read.

use session_tests::history::{Answer, Call, End, Event, History, Recorder, read};
use tempfile::tempdir;

#[test]
fn what_a_recorder_writes_is_read_back_and_put_together() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("1.jsonl");
    let recorder = Recorder::to_file(&path, 1).unwrap();
    recorder.fault(Event::Fault("kill".into()));
    let first = recorder.invoke(3, 9, Call::Load { id: "a".into() });
    let lost = recorder.invoke(4, 9, Call::Destroy { id: "a".into() });
    recorder.end(first, End::Ok(Answer::Gone));
    recorder.fault(Event::Heal("kill".into()));
    let history = History::of(read(&std::fs::read(&path).unwrap()[..]).unwrap());
    assert_eq!(history.operations(), 2);
    let [answered, open] = &history.lineages[0].operations[..] else { panic!("{history:?}") };
    assert_eq!((answered.op, answered.worker), (first.op, 3));
    assert_eq!(answered.end, End::Ok(Answer::Gone));
    assert!(answered.from < open.from && open.from < answered.to);
    assert!(open.is_open() && open.op == lost.op && open.to == u64::MAX);
    assert!(history.faults[0].from < history.faults[0].to);
}

#[test]
fn a_line_that_a_kill_cut_short_is_left_out_and_any_other_is_an_error() {
    let good = r#"{"at":1,"worker":1,"op":2,"lineage":3,"event":{"ok":"done"}}"#;
    assert_eq!(read(format!("{good}\n{}", &good[..20]).as_bytes()).unwrap().len(), 1);
    assert!(read(format!("{}\n{good}\n", &good[..20]).as_bytes()).is_err());
}
