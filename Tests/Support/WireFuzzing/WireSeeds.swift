package import NIOCore
internal import PGWire

/// Well-formed messages of every kind, and a whole session: the material that the fuzzer spoils.
package enum WireSeeds {
    package static func messages() -> [ByteBuffer] { startup() + frontend() + backend() + [CapturedSession.client, CapturedSession.server] }

    private static func message(_ write: (inout ByteBuffer) -> Void) -> ByteBuffer {
        var buffer = ByteBuffer()
        write(&buffer)
        return buffer
    }

    private static func startup() -> [ByteBuffer] {
        [
            message { $0.writeStartup([.init(name: "user", value: "alice"), .init(name: "database", value: "shop"), .init(name: "_pq_.x", value: "1")]) },
            message { $0.writeSSLRequest() },
            message { $0.writeGSSEncRequest() },
            message { $0.writeCancelRequest(CancelRequest(processID: 42, secret: -7)) },
        ]
    }

    private static func frontend() -> [ByteBuffer] {
        [
            message { $0.writeParse(name: "s1", query: "SELECT $1::int8 + $2", parameterTypes: [20, 0]) },
            message {
                $0.writeBind(
                    portal: "p", statement: "s1",
                    parameters: [(ByteBuffer(integer: Int64(7)), .binary), (nil, .text), (ByteBuffer(string: "x"), .text)], resultFormat: .binary)
            },
            message { $0.writeDescribe(.statement, name: "s1") },
            message { $0.writeClose(.portal, name: "p") },
            message { $0.writeExecute(portal: "p", rowsMax: 10) },
            message { $0.writeQuery("SELECT 'é' AS \"ü\"") },
            message { $0.writePassword("secret") },
            message { $0.writeSASLInitialResponse(mechanism: "SCRAM-SHA-256", data: Array("n,,n=,r=rOprNGfwEbeRWgbNEkqO".utf8)) },
            message {
                $0.writeSASLResponse(
                    Array("c=biws,r=rOprNGfwEbeRWgbNEkqOserver,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".utf8))
            },
            message { $0.writeCopyFail(reason: "no") },
            message { $0.writeCopyData(ByteBuffer(string: "1\tone\n")) },
            message { $0.writeCopyData(ByteBuffer(bytes: CopyFuzzer.binary)) },
            message { $0.writeSync() },
        ]
    }

    private static func backend() -> [ByteBuffer] {
        [
            message { $0.writeAuthentication(.md5Password(salt: [1, 2, 3, 4])) },
            message { $0.writeAuthentication(.sasl(mechanisms: ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"])) },
            message { $0.writeAuthentication(.saslContinue(Array("r=abcdef,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".utf8))) },
            message { $0.writeAuthentication(.saslFinal(Array("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".utf8))) },
            message { $0.writeParameterStatus(name: "TimeZone", value: "Etc/UTC") },
            message { $0.writeBackendKeyData(processID: 1, secret: 2) },
            message { $0.writeReadyForQuery(status: UInt8(ascii: "T")) },
            message { $0.writeCommandComplete(tag: "INSERT 0 12") },
            message { $0.writeRowDescription([.init(name: "a", typeOID: 23), .init(name: "b", typeOID: 25, tableOID: 16384, attributeNumber: 2)]) },
            message { $0.writeDataRow(text: ["1", nil, "", "text"]) },
            message { $0.writeErrorResponse(ServerError(sqlState: .uniqueViolation, message: "m", detail: "d", hint: "h", position: 3)) },
            message { $0.writeNoticeResponse(ServerError(severity: .notice, sqlState: .warning, message: "n")) },
            message { $0.writeNotificationResponse(.init(processID: 9, channel: "c", payload: "p")) },
            message { $0.writeParameterDescription([20, 25]) },
            message { $0.writeCopyInResponse(CopyResponse(format: .text, columnFormats: [.text, .binary])) },
            message { $0.writeNegotiateProtocolVersion(.init(unrecognizedOptions: ["_pq_.x"])) },
        ]
    }
}
