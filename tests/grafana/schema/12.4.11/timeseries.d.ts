import * as common from '@grafana/schema';
export declare const pluginVersion = "12.4.11";
export interface Options extends common.OptionsWithTimezones, common.OptionsWithAnnotations {
    disableKeyboardEvents?: boolean;
    legend: common.VizLegendOptions;
    orientation?: common.VizOrientation;
    timeCompare?: common.TimeCompareOptions;
    tooltip: common.VizTooltipOptions;
}
export interface FieldConfig extends common.GraphFieldConfig {
}
