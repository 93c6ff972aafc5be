//! A panic becomes a log line, so that it reaches the collector with everything else.

/// Logs every panic of the process at ERROR with its place and, if `RUST_BACKTRACE` asks for it, its backtrace. While no
/// logs are started the standard message is printed instead.
pub fn log_panics() {
    let standard = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !tracing::dispatcher::has_been_set() {
            standard(info);
            return;
        }
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let message = info.payload_as_str().unwrap_or("no message");
        let thread = std::thread::current();
        let backtrace = std::backtrace::Backtrace::capture();
        match backtrace.status() {
            std::backtrace::BacktraceStatus::Captured => {
                tracing::error!(place, thread = thread.name(), %backtrace, "panic: {message}");
            }
            _ => tracing::error!(place, thread = thread.name(), "panic: {message}"),
        }
    }));
}
