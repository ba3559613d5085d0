internal import LogicalReplication
package import NIOCore
package import WireFuzzing

/// Feeds bytes to the decoder of logical replication. A crash is the finding; what is checked: a message that is taken is the same when it is
/// written again, and an error leaves the decoder where it stood.
package enum ReplicationFuzzer {
    package static func run(_ input: ByteBuffer) throws(WireFuzzer.Finding) {
        for version in PGOutputVersion.allCases { try decode(input, PGOutputDecoder(version: version)) }
        try decode(input, PGOutputSamples.decoder(inStream: true))
        if let message = try? ReplicationMessage(input) {
            var copy = ByteBuffer()
            copy.writeReplicationMessage(message)
            try requireSame(copy, input, "a message of the stream")
            if case .data(let data) = message { try decode(data.payload, PGOutputDecoder(version: .three)) }
        }
        if let update = try? StandbyStatusUpdate(input) {
            var copy = ByteBuffer()
            copy.writeStandbyStatusUpdate(update)
            try requireSame(copy, input, "a status update")
        }
        names(String(buffer: input))
    }

    private static func decode(_ input: ByteBuffer, _ fresh: PGOutputDecoder) throws(WireFuzzer.Finding) {
        var decoder = fresh
        guard let message = try? decoder.decode(input) else {
            guard decoder.isInStream == fresh.isInStream else { throw WireFuzzer.Finding(what: "an error moves the decoder") }
            return
        }
        // The one name with two forms.
        if !namesCatalog(message) { try requireSame(ByteBuffer(pgoutput: message), input, "a message of pgoutput") }
    }

    private static func namesCatalog(_ message: PGOutputMessage) -> Bool {
        switch message {
        case .relation(let relation, _): relation.schema == "pg_catalog"
        case .type(let type, _): type.schema == "pg_catalog"
        default: false
        }
    }

    private static func names(_ text: String) {
        _ = LSN(text: text)
        _ = SlotName(text)
        _ = SystemIdentity(row: [text, text, text, nil])
        _ = CreatedSlot(row: [text, text, text, text])
    }

    private static func requireSame(_ copy: ByteBuffer, _ input: ByteBuffer, _ what: String) throws(WireFuzzer.Finding) {
        guard copy == input else { throw WireFuzzer.Finding(what: "\(what) changes when written again") }
    }
}
