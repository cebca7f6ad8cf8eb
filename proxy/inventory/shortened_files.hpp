// Files that are mapped into memory, and that somebody makes shorter meanwhile: whoever touches
// what is gone gets SIGBUS, which ends the process and every session in it. SQLite maps the index
// of its write-ahead log, and `cp` over a running proxy's state directory shortens it.
#pragma once

namespace proxy {

/// From now on zeroes are found there instead. What came of it is for take_shortened() to tell.
void survive_shortened_files();

/// Whether it has happened since the last call. From any thread.
bool take_shortened() noexcept;

}  // namespace proxy
