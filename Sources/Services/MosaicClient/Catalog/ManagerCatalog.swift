internal import AsyncHTTPClient
internal import ControlAPI
internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import ShardModel

/// The catalog from the managers' REST API, by long polling.
///
/// One manager is asked at a time; the next one after a failure, so that each is tried in turn.
actor ManagerCatalog: CatalogReading {
    private static let waitMilliseconds = 20_000
    /// For an answer that is not waited for, and for the slack behind a long poll.
    private static let answerTimeout = TimeAmount.seconds(10)
    /// A catalog of 1,000 shards with 256 vnodes each takes 40 MB of JSON.
    private static let bytesMax = 256 << 20

    private let urls: [String]
    private let token: (@Sendable () async throws -> String)?
    private let http: HTTPClient
    private var position = 0

    init(_ urls: [String], token: (@Sendable () async throws -> String)?, authority: String?) {
        self.urls = urls.map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 }
        self.token = token
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.timeout.connect = .seconds(5)
        if let authority {
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.trustRoots = .file(authority)
            configuration.tlsConfiguration = tls
        }
        http = HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton, configuration: configuration)
    }

    func close() async { try? await http.shutdown() }

    func next(after epoch: Epoch?) async throws(MosaicError) -> CatalogSnapshot? {
        let url = urls[position % urls.count]
        do {
            return try await ask(url, after: epoch)
        } catch {
            position += 1
            throw error as? MosaicError ?? MosaicError(.catalogUnavailable, "the manager at \(url) does not answer")
        }
    }

    private func ask(_ url: String, after epoch: Epoch?) async throws -> CatalogSnapshot? {
        let query = epoch.map { "?after_epoch=\($0)&wait_ms=\(Self.waitMilliseconds)" } ?? ""
        var request = HTTPClientRequest(url: "\(url)/api/v1/catalog\(query)")
        request.headers.add(name: "accept", value: "application/json")
        if let token { request.headers.add(name: "authorization", value: "Bearer \(try await token())") }
        let limit = epoch == nil ? Self.answerTimeout : .milliseconds(Int64(Self.waitMilliseconds)) + Self.answerTimeout
        let response = try await http.execute(request, timeout: limit)
        let body = try await response.body.collect(upTo: Self.bytesMax)
        switch response.status.code {
        case 200:
            guard let answer = try? APICoding.decodeAnswer(CatalogAnswer.self, from: Array(buffer: body)) else {
                throw MosaicError(.catalogUnavailable, "\(url) answered with something else than a catalog; is it a PGMosaic manager?")
            }
            return try answer.snapshot()
        case 304: return nil
        default:
            let reason = (try? JSONParser.parse(Array(buffer: body))).flatMap { APIError(body: $0) }?.message ?? "status \(response.status.code)"
            throw MosaicError(.catalogUnavailable, "the manager at \(url) refused: \(reason)")
        }
    }
}
