//! What a killed server keeps, and a full one refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use session_core::{Bytes, ErrorKind, SessionHandler};

use crate::support::*;

on_both! {
    what_was_acknowledged_survives_a_killed_server
    a_full_server_says_so_and_loses_nothing
}

async fn what_was_acknowledged_survives_a_killed_server(kind: Kind) {
    let server =
        kind.own().option("--innodb-flush-log-at-trx-commit=1").start().await.expect("a server");
    let handler = Arc::new(open(config_of(server.url())).await);
    for _ in 0..2 {
        let is_over = Arc::new(AtomicBool::new(false));
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let (handler, is_over) = (Arc::clone(&handler), Arc::clone(&is_over));
                tokio::spawn(async move {
                    let (mut alive, mut ended) = (Vec::new(), Vec::new());
                    while !is_over.load(Ordering::Relaxed) {
                        let key = fresh_key();
                        if handler.write(&key, vec![1; 500].into(), &creating()).await.is_err() {
                            break;
                        }
                        if fastrand::bool() {
                            alive.push(key);
                        } else if handler.destroy(&key, None).await.is_ok() {
                            ended.push(key);
                        }
                    }
                    (alive, ended)
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(700)).await;
        server.process().kill();
        is_over.store(true, Ordering::Relaxed);
        server.restart().await.expect("a restart");
        let mut acknowledged = 0;
        for task in tasks {
            let (alive, ended) = task.await.expect("a task");
            acknowledged += alive.len() + ended.len();
            for key in alive {
                assert!(handler.read(&key).await.expect("read").is_some(), "a save was lost");
            }
            for key in ended {
                assert!(handler.read(&key).await.expect("read").is_none(), "a logout was lost");
            }
        }
        assert!(acknowledged > 0, "the kill met nobody");
    }
}

async fn a_full_server_says_so_and_loses_nothing(kind: Kind) {
    let server = kind
        .own()
        .option("--innodb-file-per-table=OFF")
        .option("--innodb-data-file-path=ibdata1:12M:autoextend:max:24M")
        .start()
        .await
        .expect("a server");
    let handler = open(config_of(server.url())).await;
    let large = Bytes::from(vec![1; 1 << 20]);
    let mut keys = Vec::new();
    let err = loop {
        let key = fresh_key();
        match handler.write(&key, large.clone(), &creating()).await {
            Ok(_) => keys.push(key),
            Err(err) => break err,
        }
        assert!(keys.len() < 100, "the server never gets full");
    };
    assert_eq!(err.kind(), ErrorKind::StorageFull, "{err}");
    assert!(!err.is_indeterminate(), "{err}");
    let key = keys.pop().expect("a session");
    assert!(handler.read(&key).await.expect("read").expect("a session").payload == large);
    match (kind, handler.destroy(&key, None).await) {
        (_, Ok(found)) => {
            assert!(found);
            assert!(handler.read(&key).await.expect("read").is_none());
        }
        // MariaDB writes down how to undo a statement in the file that is full.
        (Kind::MariaDb, Err(err)) => {
            assert_eq!(err.kind(), ErrorKind::StorageFull, "{err}");
            assert!(handler.read(&key).await.expect("read").is_some());
        }
        (Kind::MySql, Err(err)) => panic!("{err}"),
    }
}
