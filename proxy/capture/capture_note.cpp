#include "proxy/capture/capture_note.hpp"

#include "proxy/capture/capture_filter.hpp"

namespace proxy {

std::shared_ptr<CaptureNote> note_of(const CaptureStatus& status) {
    auto note = std::make_shared<CaptureNote>();
    note->id = status.id;
    note->by = status.by;
    note->payload = to_string(status.order.payload);
    note->trigger = status.order.failures_only ? "failures" : "all";
    note->filter = filter_text(status.order.filter);
    note->keylog = status.order.keylog;
    note->allow_secrets = status.order.allow_secrets;
    note->where = status.where;
    note->until = status.until;
    note->sessions = status.sessions;
    note->packets = status.packets;
    note->bytes = status.bytes;
    note->dropped = status.dropped;
    note->left_out = status.left_out;
    note->not_entered = status.not_entered;
    note->entries_dropped = status.entries_dropped;
    note->rests = status.rests;
    note->files_removed = status.files_removed;
    note->reason = status.reason;
    note->stopped_by = status.stopped_by;
    return note;
}

}  // namespace proxy
