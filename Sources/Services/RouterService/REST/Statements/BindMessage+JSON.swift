internal import ControlAPI
internal import NIOCore
internal import PGWire

extension ByteBuffer {
    /// A Bind of the unnamed statement with the parameters of a request, all in text. `types` is what the server inferred; empty when it was not asked.
    mutating func writeBind(_ params: [JSONValue], types: [UInt32] = []) {
        let values = params.enumerated().map { index, value in
            (value: ParameterText.text(value, typeOID: index < types.count ? types[index] : 0).map { ByteBuffer(string: $0) }, format: WireFormat.text)
        }
        writeBind(portal: "", statement: "", parameters: values)
    }
}
