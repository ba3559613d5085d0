internal import NIOCore
internal import PGWire

/// A statement of several shards as one of their backends knows it: under the name that the loop gives it, prepared there when it is first used.
struct StatementPreparation {
    let name: String
    /// What has to be closed before; nil: nothing.
    private let displaced: String?
    private let isKnown: Bool

    /// From now on the backend counts as having it: `PreparedStatements.confirm` or `doubt` must follow its answer.
    init(_ statement: Statement, on backend: Backend, _ loop: RouterLoop) {
        let slot = loop.slot(of: statement)
        name = slot.serverName
        isKnown = backend.prepared.contains(slot)
        displaced = isKnown ? nil : backend.prepared.displaced(by: slot).map { StatementSlot(index: slot.index, incarnation: $0).serverName }
        if !isKnown { backend.prepared.add(slot) }
    }

    func write(_ statement: Statement, into buffer: inout ByteBuffer) {
        guard !isKnown else { return }
        if let displaced { buffer.writeClose(.statement, name: displaced) }
        buffer.writeParse(rewriting: statement.parse, name: name)
    }
}
