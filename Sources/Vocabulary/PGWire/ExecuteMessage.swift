package import NIOCore

/// Execute: runs a portal.
package struct ExecuteMessage: Hashable, Sendable {
    package let portal: ByteBuffer
    /// Rows after which the portal is suspended; 0 or less: no limit.
    package let rowsMax: Int32

    package init(body: ByteBuffer) throws(WireError) {
        let kind = FrontendKind.execute
        var body = body
        portal = try body.readCStringSlice(kind: kind)
        rowsMax = try body.readChecked(Int32.self, kind: kind)
        try body.requireEmpty(kind: kind)
    }
}

extension ByteBuffer {
    package mutating func writeExecute(portal: String = "", rowsMax: Int32 = 0) {
        writeFrame(FrontendKind.execute) { buffer in
            buffer.writeCString(portal)
            buffer.writeInteger(rowsMax)
        }
    }
}
