"""The recipe: settings that fit the data, decided for what nobody has set."""
