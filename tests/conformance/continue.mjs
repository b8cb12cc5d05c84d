// Continue's own reader and rules over a config file: prints the models it found and what is wrong.
import { readFileSync } from "node:fs";
import { parseConfigYaml, validateConfigYaml } from "@continuedev/config-yaml";

const config = parseConfigYaml(readFileSync(process.argv[2], "utf8"));
const models = config.models.map(({ name, provider, model, apiBase, apiKey }) => ({ name, provider, model, apiBase, apiKey }));
console.log(JSON.stringify({ models, problems: validateConfigYaml(config) }));
