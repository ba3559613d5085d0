import Foundation
import Testing

@Suite struct RESTReferenceTests {
    @Test func thePageListsWhatTheCataloguesList() throws {
        let page = try String(contentsOf: RESTReferencePage.path, encoding: .utf8)
        let renewed = try #require(RESTReferencePage.renewed(page), "a pair of comments is missing in docs/reference/rest.md")
        if ProcessInfo.processInfo.environment["PGMOSAIC_WRITE_DOCS"] == "1" {
            try renewed.write(to: RESTReferencePage.path, atomically: true, encoding: .utf8)
        } else {
            #expect(page == renewed, "docs/reference/rest.md is out of date; see RESTReferencePage")
        }
    }
}
