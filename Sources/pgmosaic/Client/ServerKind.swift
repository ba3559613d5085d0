/// Which server a command talks to, and where that is when nobody says.
enum ServerKind: String, Sendable {
    case router, manager

    var defaultURL: String { self == .router ? "http://127.0.0.1:8080" : "http://127.0.0.1:8081" }

    /// The variables that name it, the first that is set counts: one for each kind, for who uses both, and one for either.
    var variables: [String] { ["PGMOSAIC_\(rawValue.uppercased())_URL", "PGMOSAIC_URL"] }

    /// `--url`, else the environment, else the default, without a slash at its end.
    func url(option: String?, environment: [String: String]) -> String {
        let named = option ?? variables.compactMap { environment[$0] }.first { !$0.isEmpty }
        var url = named ?? defaultURL
        while url.hasSuffix("/") { url.removeLast() }
        return url.contains("://") ? url : "http://" + url
    }
}
