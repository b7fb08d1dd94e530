import * as ui from '@grafana/schema';
export declare const pluginVersion = "12.4.11";
export interface Options extends ui.TableOptions {
}
export interface FieldConfig extends ui.TableFieldOptions {
}
