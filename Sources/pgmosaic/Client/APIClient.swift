import AsyncHTTPClient
import ControlAPI
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// The REST API as the commands use it.
struct APIClient: Sendable {
    let server: ServerKind
    let baseURL: String

    /// Longer than any answer that a server's limits allow.
    static let answerBytesMax = 1 << 30
    static let timeLimit = TimeAmount.seconds(60)

    /// Names a PEM file with the authority that a server's certificate is to be of.
    static let authorityVariable = "PGMOSAIC_CA_FILE"

    /// Name PEM files with the certificate, and its key, that a server may ask for.
    static let certificateVariable = "PGMOSAIC_CERTIFICATE_FILE"
    static let keyVariable = "PGMOSAIC_KEY_FILE"

    /// By default a refused connection is tried again for ten seconds: a person wants to know at once. Lives as long as the process.
    private static let http: HTTPClient = {
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.timeout.connect = .seconds(10)
        var tls = TLSConfiguration.makeClientConfiguration()
        if let file = variable(authorityVariable) { tls.trustRoots = .file(file) }
        if case .success(let own?) = ownCertificate {
            tls.certificateChain = own.chain.map { .certificate($0) }
            tls.privateKey = .privateKey(own.key)
        }
        configuration.tlsConfiguration = tls
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    private struct BadCertificate: Error {
        let description: String
    }

    /// nil: the environment names none.
    private static let ownCertificate: Result<(chain: [NIOSSLCertificate], key: NIOSSLPrivateKey)?, BadCertificate> = {
        guard let certificate = variable(certificateVariable) ?? variable(keyVariable) else { return .success(nil) }
        guard let key = variable(keyVariable), variable(certificateVariable) != nil else {
            return .failure(BadCertificate(description: "\(certificateVariable) and \(keyVariable) need each other"))
        }
        guard let chain = try? NIOSSLCertificate.fromPEMFile(certificate), !chain.isEmpty else {
            return .failure(BadCertificate(description: "\(certificateVariable): \(certificate) is not a PEM file with certificates"))
        }
        guard let privateKey = try? NIOSSLPrivateKey(file: key, format: .pem, passphraseCallback: { $0([] as [UInt8]) }) else {
            return .failure(BadCertificate(description: "\(keyVariable): \(key) is not a PEM file with a private key without a passphrase"))
        }
        return .success((chain, privateKey))
    }()

    private static func variable(_ name: String) -> String? { ProcessInfo.processInfo.environment[name].flatMap { $0.isEmpty ? nil : $0 } }

    /// One request. `path` holds escaped parts (`escape`); members of `query` that are nil are left out.
    ///
    /// Answers the body; null where there is none. A token that there is goes along, unless `showsToken` says otherwise.
    @discardableResult
    func send(
        _ method: APIRoute.Method, _ path: String, query: [(name: String, value: String?)] = [], body: JSONValue? = nil,
        timeLimit: TimeAmount = Self.timeLimit, showsToken: Bool = true
    ) async throws(ClientError) -> JSONValue {
        if case .failure(let problem) = Self.ownCertificate { throw ClientError(.usage(problem.description)) }
        let pairs = query.compactMap { pair in pair.value.map { "\(pair.name)=\(Self.escape($0))" } }
        let target = baseURL + path + (pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&"))
        var request = HTTPClientRequest(url: target)
        request.method = HTTPMethod(rawValue: method.rawValue)
        request.headers.add(name: "accept", value: "application/json")
        if showsToken, let token = try SavedToken.current() {
            try SavedToken.checkMayGo(to: baseURL)
            request.headers.add(name: "authorization", value: "Bearer \(token)")
        }
        if let body {
            request.headers.add(name: "content-type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: body.encoded()))
        }
        let status: Int
        let bytes: ByteBuffer
        do {
            let response = try await Self.http.execute(request, timeout: timeLimit)
            status = Int(response.status.code)
            bytes = try await response.body.collect(upTo: Self.answerBytesMax)
        } catch {
            throw ClientError(.unreachable("the \(server.rawValue) at \(baseURL) does not answer: \(Self.reason(error)); \(advice)"))
        }
        return try read(status, Array(buffer: bytes))
    }

    private func read(_ status: Int, _ bytes: [UInt8]) throws(ClientError) -> JSONValue {
        guard !bytes.isEmpty else {
            if (200..<400).contains(status) { return .null }
            throw ClientError(.otherServer("\(baseURL) answered \(status) without a reason; is it a PGMosaic \(server.rawValue)?"))
        }
        guard let value = try? JSONParser.parse(bytes) else {
            throw ClientError(.otherServer("\(baseURL) answered \(status) with something else than JSON; is it a PGMosaic \(server.rawValue)?"))
        }
        if (200..<400).contains(status) { return value }
        guard let error = APIError(body: value) else {
            throw ClientError(.otherServer("\(baseURL) answered \(status) in an unknown form; is it a PGMosaic \(server.rawValue)?"))
        }
        if error.code == .notFound {
            throw ClientError(.otherServer("\(baseURL) does not know this request; is it a \(server.rawValue)? \(advice)"), answer: value)
        }
        throw ClientError(.refused(error), answer: value)
    }

    /// All pages of a list, as one.
    func list(_ path: String, query: [(name: String, value: String?)] = []) async throws(ClientError) -> [JSONValue] {
        var items: [JSONValue] = []
        var cursor: String?
        repeat {
            let paging: [(name: String, value: String?)] = [("limit", String(PageRequest.limitMax)), ("cursor", cursor)]
            let page = try await send(.get, path, query: query + paging)
            items += page["items"]?.arrayValue ?? []
            cursor = page["next_cursor"]?.stringValue
        } while cursor != nil
        return items
    }

    private var advice: String { "give its address with --url or \(server.variables[0])" }

    /// One part of a path, or one value of a query.
    static func escape(_ text: String) -> String {
        let unreserved = CharacterSet(charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
        return text.addingPercentEncoding(withAllowedCharacters: unreserved) ?? text
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case let error as HTTPClientError where error == .connectTimeout || error == .deadlineExceeded || error == .readTimeout: "no answer in time"
        case let error as HTTPClientError where error == .invalidURL || error == .emptyHost || error == .emptyScheme: "the address is not a URL"
        case let error as HTTPClientError: error.shortDescription
        case is NIOConnectionError: "connection refused"
        case let error as IOError where error.errnoCode == ECONNREFUSED: "connection refused"
        default: TextTable.printable("\(error)")
        }
    }
}
