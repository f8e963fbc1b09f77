//! One test per case and target.

/// Each case on every store, in one process and in two.
macro_rules! cases {
    ($($(#[$doc:meta])* async fn $name:ident($target:ident) $body:block)*) => {
        $($crate::tests_of!($(#[$doc])* $name $target $body:
            memory = MEMORY, file = FILE, file_in_two_processes = FILE_IN_TWO_PROCESSES);)*
    };
}

/// Cases about one process, or about its memory.
macro_rules! cases_in_one_process {
    ($($(#[$doc:meta])* async fn $name:ident($target:ident) $body:block)*) => {
        $($crate::tests_of!($(#[$doc])* $name $target $body: memory = MEMORY, file = FILE);)*
    };
}

/// Cases about two processes that are told apart.
macro_rules! cases_in_two_processes {
    ($($(#[$doc:meta])* async fn $name:ident($target:ident) $body:block)*) => {
        $($crate::tests_of!($(#[$doc])* $name $target $body:
            file_in_two_processes = FILE_IN_TWO_PROCESSES);)*
    };
}

#[macro_export]
#[doc(hidden)]
macro_rules! tests_of {
    ($(#[$doc:meta])* $name:ident $target:ident $body:block: $($test:ident = $on:ident),*) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $(#[$doc])*
            async fn case($target: $crate::target::Target) $body

            $(
                #[tokio::test]
                async fn $test() {
                    case($crate::target::Target::$on).await;
                }
            )*
        }
    };
}
