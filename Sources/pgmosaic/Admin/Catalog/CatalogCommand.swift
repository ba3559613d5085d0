import ArgumentParser

/// `pgmosaic catalog`
struct CatalogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "catalog", abstract: "Look at the catalog, and move it: show, history, export, import, copy, recover, rekey.",
        discussion: """
            Through the manager:
              pgmosaic catalog                              (a summary; pgmosaic catalog show --help)

            On the store itself, with or without a manager; LOCATION is what the setting "catalog" takes:
              pgmosaic catalog history --from sqlite:/var/lib/pgmosaic/catalog.sqlite
              pgmosaic catalog export --from sqlite:/var/lib/pgmosaic/catalog.sqlite --file catalog.json
              pgmosaic catalog import catalog.json --to 'postgres://app@10.0.0.9/catalog?password=env:CATALOG'
              pgmosaic catalog recover --shard 'postgres://app@10.0.0.1/shop?password=env:SHARD' --to sqlite:catalog.sqlite
              pgmosaic catalog copy --from sqlite:catalog.sqlite --to 'postgres://app@10.0.0.9/catalog?password=env:CATALOG'
            """,
        subcommands: [
            CatalogShowCommand.self, CatalogHistoryCommand.self, CatalogExportCommand.self, CatalogImportCommand.self, CatalogCopyCommand.self,
            CatalogRecoverCommand.self, CatalogRekeyCommand.self, CatalogKeyCommand.self,
        ],
        defaultSubcommand: CatalogShowCommand.self)
}
