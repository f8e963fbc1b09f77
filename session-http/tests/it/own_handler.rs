//! The example of an own engine keeps the contract that all engines keep.

use crate::my_handler::{MyConfig, MySessionHandler};

session_core::conformance! {
    async { MySessionHandler::new(&MyConfig::default()) }
}

#[tokio::test]
async fn it_is_found_by_its_scheme_and_refuses_unknown_options() {
    let registry = session_http::registry().with(crate::my_handler::MyFactory);
    let handler = registry.connect("my:?session.host=localhost").await.unwrap();
    assert_eq!(handler.info().name, "my");
    let err = registry.connect("my:?session.hots=localhost").await.unwrap_err();
    assert_eq!(err.kind(), session_core::ErrorKind::InvalidConfig);
}
