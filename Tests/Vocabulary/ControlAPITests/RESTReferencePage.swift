import ControlAPI
import Foundation

/// The parts of `docs/reference/rest.md` that are made from the catalogues: each stands between a pair of comments in the page.
///
/// After a change of a catalogue: `PGMOSAIC_WRITE_DOCS=1 swift test --filter RESTReferenceTests` writes them anew.
struct RESTReferencePage {
    static let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../docs/reference/rest.md").standardizedFileURL

    static let parts: [(name: String, text: String)] = [
        ("manager", routes(RouteCatalogue.manager)), ("router", routes(RouteCatalogue.router)), ("later", routes(RouteCatalogue.managerLater)),
        ("errors", errors),
    ]

    private static func routes(_ routes: [APIRoute]) -> String {
        let rows = routes.map { route in
            let query = route.query.map { "`\($0.name)`\($0.isRequired ? " (required)" : "")" }.joined(separator: ", ")
            let who = RoutePermissions.permission(for: route)?.description ?? ""
            return "| `\(route.id)` | \(who) | \(shown(route.request)) | \(query) | \(route.status) | \(route.summary) |"
        }
        return (["| operation | who | body | query | status | what it does |", "|---|---|---|---|---|---|"] + rows).joined(separator: "\n")
    }

    private static func shown(_ schema: APISchema?) -> String {
        guard case .reference(let name) = schema else { return schema == nil ? "" : "JSON" }
        let fields = APISchemas.named(name) ?? []
        return fields.map { "`\($0.name)`\($0.isRequired ? "" : "?")" }.joined(separator: ", ")
    }

    private static var errors: String {
        let rows = APIErrorCode.allCases.map { "| `\($0.rawValue)` | \($0.status) | \($0.meaning) |" }
        return (["| code | status | when |", "|---|---|---|"] + rows).joined(separator: "\n")
    }

    /// The page with each part as it must be; nil where a part's comments are missing.
    static func renewed(_ page: String) -> String? {
        var page = page
        for part in parts {
            guard let start = page.range(of: "<!-- begin \(part.name) -->\n"), let end = page.range(of: "\n<!-- end \(part.name) -->") else { return nil }
            page.replaceSubrange(start.upperBound..<end.lowerBound, with: part.text)
        }
        return page
    }
}
