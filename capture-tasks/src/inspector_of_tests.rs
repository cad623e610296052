//! The program of these tests is its own inspector, as the agent is.

use capture_inspector::process::serve_if_asked;

/// Runs before the `main` of the test harness, which does not know the argument of an inspector.
#[used]
// SAFETY: glibc calls what is in this section with the signature of `main`, in which nothing is used, and returns to
// it what it does not heed.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = {
    extern "C" fn serve() {
        if let Some(is_well) = serve_if_asked() {
            std::process::exit(i32::from(!is_well));
        }
    }
    serve
};
