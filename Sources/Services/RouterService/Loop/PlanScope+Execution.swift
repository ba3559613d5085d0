internal import NIOCore
internal import PGWire

extension PlanScope {
    /// A query of the router's own as the extended protocol has it: the unnamed statement, and a portal of it.
    func execution(of query: [UInt8], parameterTypes: [UInt32] = [], values: [ByteBuffer.BindValue] = [], resultFormat: WireFormat = .text) -> (Statement, BindMessage)? {
        var parse = ByteBuffer(), bind = ByteBuffer()
        parse.writeParse(name: "", query: ByteBuffer(bytes: query), parameterTypes: parameterTypes)
        bind.writeBind(portal: "", statement: "", parameters: values, resultFormat: resultFormat)
        parse.moveReaderIndex(forwardBy: FrameHeader.length)
        bind.moveReaderIndex(forwardBy: FrameHeader.length)
        guard let parseMessage = try? ParseMessage(body: parse), let bindMessage = try? BindMessage(body: bind) else { return nil }
        return (statement(parseMessage), bindMessage)
    }
}
